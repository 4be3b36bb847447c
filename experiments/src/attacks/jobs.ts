// SPDX-License-Identifier: Apache-2.0
import {
  evaluatePrice,
  PRICE_LAYERS,
  predict,
  pickRows,
  quarantineMilliOf,
  type CarTable,
  type Dataset,
} from '@sev/fl';
import { runContributionJob, type ContributionJob, type ContributionResult } from './contribution.js';
import { runCorrectionJob, type CorrectionJob, type CorrectionResult } from './correction.js';
import { runPrivacyJob, type PrivacyJob, type PrivacyResult } from './privacy.js';
import { attackedRounds, hostileOf, take } from './rounds.js';
import { fleetOf, optionsOf, ROUNDS, TRIGGER, type AttackCell } from './setting.js';
import { runSelfDealingJob, type SelfDealingJob, type SelfDealingResult } from './self-dealing.js';
import { runValidatorJob, type ValidatorJob, type ValidatorResult } from './validators.js';

/** Work for a thread. Plain data. */
export type Job =
  FederationJob | WatchJob | ContributionJob | SelfDealingJob | ValidatorJob | CorrectionJob | PrivacyJob;

/** A federation of ten rounds. */
export interface FederationJob {
  readonly kind: 'federation';
  readonly cell: AttackCell;
}

/** How suspicion grows over the rounds. */
export interface WatchJob {
  readonly kind: 'watch';
  readonly cell: AttackCell;
  readonly rounds: number;
}

export interface FederationResult {
  /** R² on fold 0 after the last round. */
  readonly r2: number;
  /** Mean error on the test rows that carry the backdoor's trigger, on the target's scale. */
  readonly bias: number;
  /** Mean share of weight over the rounds, relative to that of their number: of hostile and of honest vehicles. */
  readonly hostileShare: number;
  readonly honestShare: number;
}

export interface WatchResult {
  readonly hostile: readonly number[];
  /** By round: what is on each vehicle, milli-nats. */
  readonly standing: readonly (readonly number[])[];
  /** Of each vehicle: rounds in which it counts nothing, those after its quarantine among them. */
  readonly lostRounds: readonly number[];
}

/** Of each kind of job. */
interface Results {
  readonly federation: FederationResult;
  readonly watch: WatchResult;
  readonly contribution: ContributionResult;
  readonly 'self-dealing': SelfDealingResult;
  readonly validators: ValidatorResult;
  readonly correction: CorrectionResult;
  readonly privacy: PrivacyResult;
}
export type JobResult<J extends Job> = Results[J['kind']];

export function runJob(table: CarTable, job: Job): JobResult<Job> {
  switch (job.kind) {
    case 'federation':
      return runFederationJob(table, job);
    case 'watch':
      return runWatchJob(table, job);
    case 'contribution':
      return runContributionJob(table, job);
    case 'self-dealing':
      return runSelfDealingJob(table, job);
    case 'validators':
      return runValidatorJob(table, job);
    case 'correction':
      return runCorrectionJob(table, job);
    case 'privacy':
      return runPrivacyJob(table, job);
  }
}

function runFederationJob(table: CarTable, { cell }: FederationJob): FederationResult {
  const fleet = fleetOf(table, cell.split, cell.vehicles);
  const options = optionsOf(cell, fleet);
  const rounds = take(attackedRounds(options), ROUNDS);
  const hostile = hostileOf(options);
  const model = rounds.at(-1)?.model ?? new Float32Array();
  const shareOf = (isIn: (vehicle: number) => boolean): number => {
    const members = fleet.vehicles.map((_, vehicle) => vehicle).filter(isIn);
    const shares = rounds.map(({ weights }) => {
      const total = weights.reduce((a, b) => a + b, 0);
      return total === 0 ? 0 : members.reduce((sum, vehicle) => sum + (weights[vehicle] ?? 0), 0) / total;
    });
    const share = shares.reduce((a, b) => a + b, 0) / shares.length;
    return members.length === 0 ? 0 : (share * fleet.vehicles.length) / members.length;
  };
  return {
    r2: evaluatePrice(model, PRICE_LAYERS, fleet.test).r2,
    bias: biasOf(model, fleet.test),
    hostileShare: shareOf((vehicle) => hostile.includes(vehicle)),
    honestShare: shareOf((vehicle) => !hostile.includes(vehicle)),
  };
}

function runWatchJob(table: CarTable, { cell, rounds }: WatchJob): WatchResult {
  const options = optionsOf(cell, fleetOf(table, cell.split, cell.vehicles));
  const watched = take(attackedRounds(options), rounds);
  const standing = watched.map((round) => round.standing.map(({ suspicionMilli }) => suspicionMilli));
  const threshold = quarantineMilliOf(cell.vehicles);
  return {
    hostile: hostileOf(options),
    standing,
    lostRounds: options.classWeights.map((_, vehicle) => {
      const quarantine = standing.findIndex((milli) => (milli[vehicle] ?? 0) >= threshold);
      const last = quarantine < 0 ? rounds : quarantine;
      return watched.filter(({ weights }, at) => at > last || weights[vehicle] === 0).length;
    }),
  };
}

function biasOf(model: Float32Array, test: Dataset): number {
  const rows = Array.from({ length: test.rows }, (_, row) => row).filter(
    (row) => test.x[row * test.features + TRIGGER.feature] === 1,
  );
  const marked = pickRows(test, rows);
  const errors = predict(model, PRICE_LAYERS, marked).map((prediction, row) => prediction - (marked.y[row] ?? 0));
  return errors.reduce((sum, error) => sum + error, 0) / rows.length;
}
