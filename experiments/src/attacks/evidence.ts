// SPDX-License-Identifier: Apache-2.0
import { meanOf } from '../learning/federate.js';
import { print, printTable } from '../output.js';
import type { TableSource } from './cars.js';
import type { ContributionJob } from './contribution.js';
import type { CorrectionJob } from './correction.js';
import { measured, type Measured } from './measured.js';
import type { PrivacyJob } from './privacy.js';
import type { SelfDealingJob } from './self-dealing.js';
import { SPLITS } from './setting.js';
import type { ValidatorJob } from './validators.js';

const SEEDS = [1, 2, 3] as const;
const VEHICLES = 20;
const ROUNDS = 10;
const NAMED_WITHIN = 3;
const NOISES = [0, 0.5, 1, 2] as const;
/** Of the correction: that it is validated was decided on seeds 1 to 3. */
const CORRECTION_SEEDS = [11, 12, 13] as const;
const CULPRITS = ['label-flip', 'backdoor-slow', 'alie', 'scaling', 'root-aligned'] as const;
const RULES = ['capped-trust', 'norm-scaling'] as const;
const WATCHED_ROUNDS = 30;
/** Vehicles of a self-dealing validator. */
const OWNED = [1, 2, 4] as const;

/** First-order scores beside exact Shapley values on eight vehicles, and beside known label noise. */
export async function measureContribution(source: TableSource): Promise<Measured<ContributionJob>> {
  const jobs = SPLITS.flatMap((split) =>
    [8, VEHICLES].flatMap((vehicles) =>
      SEEDS.map((seed): ContributionJob => ({
        ...{ kind: 'contribution', split, vehicles, rounds: ROUNDS, seed, exact: vehicles === 8 },
      })),
    ),
  );
  const rows = await measured('contribution', source, jobs);
  print(`\nContribution: rank correlations, label noise from 0 to 1.5, ${ROUNDS} rounds, by seed`);
  printTable(
    ['split', 'vehicles', 'score with exact Shapley', 'score with label quality', 'exact Shapley with label quality'],
    SPLITS.flatMap((split) =>
      [8, VEHICLES].map((vehicles) => {
        const group = rows.filter((row) => row.split === split && row.vehicles === vehicles);
        const column = (of: (row: (typeof rows)[number]) => number | null): string =>
          group.map((row) => of(row)?.toFixed(2) ?? '').join(' ');
        return [
          ...[split, String(vehicles), column((row) => row.withShapley)],
          ...[column((row) => row.withQuality), column((row) => row.shapleyWithQuality)],
        ];
      }),
    ),
  );
  return rows;
}

/** What a validator takes of the pool whose vehicles send the direction that it has committed to. */
export async function measureSelfDealing(source: TableSource): Promise<Measured<SelfDealingJob>> {
  const jobs = SPLITS.flatMap((split) =>
    OWNED.flatMap((own) =>
      SEEDS.map((seed): SelfDealingJob => ({
        ...{ kind: 'self-dealing', split, vehicles: VEHICLES, own, rounds: ROUNDS, seed },
      })),
    ),
  );
  const rows = await measured('self-dealing', source, jobs);
  print(
    `\nSelf-dealing: vehicles of one validator of four send its direction, ${ROUNDS} rounds, share of the pool by seed`,
  );
  printTable(
    ['split', 'its vehicles', 'share', 'were it not capped', 'if they train as others do'],
    SPLITS.flatMap((split) =>
      OWNED.map((own) => {
        const group = rows.filter((row) => row.split === split && row.own === own);
        const column = (of: (row: (typeof rows)[number]) => number): string =>
          group.map((row) => of(row).toFixed(2)).join(' ');
        return [
          ...[split, `${own} of ${VEHICLES}`, column((row) => row.share)],
          ...[column((row) => row.uncapped), column((row) => row.honest)],
        ];
      }),
    ),
  );
  return rows;
}

/** Whether a noisy validator among four is named by its losses. */
export async function measureValidators(source: TableSource): Promise<Measured<ValidatorJob>> {
  const jobs = SPLITS.flatMap((split) =>
    NOISES.flatMap((noise) =>
      SEEDS.map((seed): ValidatorJob => ({
        ...{ kind: 'validators', split, vehicles: VEHICLES, rounds: ROUNDS, seed, noise },
      })),
    ),
  );
  const rows = await measured('validators', source, jobs);
  print(`\nValidators: one of four with noisy targets; named after two departing losses`);
  printTable(
    ['split', 'noise', `named within ${NAMED_WITHIN} rounds`, 'round, by seed', 'others named'],
    SPLITS.flatMap((split) =>
      NOISES.map((noise) => {
        const group = rows.filter((row) => row.split === split && row.noise === noise);
        const inTime = group.filter(({ namedInRound }) => namedInRound !== null && namedInRound <= NAMED_WITHIN);
        return [
          ...[split, String(noise), `${inTime.length} of ${group.length}`],
          group.map(({ namedInRound }) => namedInRound ?? '–').join(' '),
          String(group.reduce((sum, row) => sum + row.falselyNamed, 0)),
        ];
      }),
    ),
  );
  return rows;
}

/** A culprit's opened contributions taken out of the sums, beside the same rounds without it. */
export async function measureCorrection(source: TableSource): Promise<Measured<CorrectionJob>> {
  const jobs = SPLITS.flatMap((split) =>
    RULES.flatMap((rule) =>
      CULPRITS.flatMap((attack) =>
        CORRECTION_SEEDS.map((seed): CorrectionJob => ({
          ...{ kind: 'correction', split, vehicles: VEHICLES, attack, rule, rounds: ROUNDS, seed },
        })),
      ),
    ),
  );
  const rows = await measured('correction', source, jobs);
  print(
    `\nCorrection: one culprit among ${VEHICLES}, found after ${ROUNDS} rounds, R², mean of seeds ${CORRECTION_SEEDS.join(', ')}`,
  );
  printTable(
    ['split', 'rule', 'attack', 'attacked', 'corrected', 'without the culprit', 'largest difference'],
    SPLITS.flatMap((split) =>
      RULES.flatMap((rule) =>
        CULPRITS.map((attack) => {
          const group = rows.filter((row) => row.split === split && row.rule === rule && row.attack === attack);
          const r2 = (of: (row: (typeof rows)[number]) => number): string => meanOf(group.map(of)).toFixed(3);
          const apart = Math.max(...group.map(({ corrected, without }) => Math.abs(corrected - without)));
          return [
            ...[split, rule, attack, r2((row) => row.attacked), r2((row) => row.corrected)],
            ...[r2((row) => row.without), apart.toFixed(3)],
          ];
        }),
      ),
    ),
  );
  return rows;
}

/** The linear attack across rounds on all that is opened of each vehicle. */
export async function measureLeak(source: TableSource): Promise<Measured<PrivacyJob>> {
  const jobs = SPLITS.flatMap((split) =>
    SEEDS.map((seed): PrivacyJob => ({
      ...{ kind: 'privacy', split, vehicles: VEHICLES, rule: 'capped-trust', rounds: WATCHED_ROUNDS, seed },
    })),
  );
  const rows = await measured('privacy', source, jobs);
  print(`\nWhat leaks over ${WATCHED_ROUNDS} rounds: mean cosine of the best linear estimate, ${VEHICLES} vehicles`);
  printTable(
    ['split', 'seed', 'eight projections', 'with the reference', 'with one aimed by a validator', 'nine projections'],
    rows.map(({ split, seed, ...row }) => [
      ...[split, String(seed)],
      ...[row.projections, row.withReference, row.withAimed, row.withFurther].map((cosine) => cosine.toFixed(3)),
    ]),
  );
  return rows;
}
