// SPDX-License-Identifier: Apache-2.0
import {
  basisOf,
  canonicalJson,
  cohortHash,
  componentHolders,
  coveredUpdates,
  decodeBitmap,
  roundSeed,
  stepPatienceMs,
  type CohortRecord,
  type ConsortiumRecord,
  type Holdings,
  type HoldingsStatement,
  type ProjectionsStatement,
  type ReceiptRecord,
  type RoundRecord,
  type SecureRound,
  type Task,
  type UpdateRecord,
  type WeightedCohort,
} from '@sev/chaincode/api';
import type { CohortRequest, ScoresRequest } from '../coordinator/statements.js';
import { attemptOf } from '../services/attempt.js';
import { checkOpenedNoise, noncesFit } from '../services/opened-noise.js';
import type { PastRound } from '../services/past-rounds.js';
import { isSigned } from '../services/signed-statements.js';
import { numbersHash } from '../services/opened-numbers.js';
import { computeScores, secureTermsOf } from '../services/secure-scores.js';
import type { ReferenceDirection } from '../validation/directions.js';
import { refuseUntil, type Refusal } from './decisions.js';

/** What an attester's own ledger shows of a secure round. */
export interface SecureView {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly round: RoundRecord;
  readonly secure: SecureRound;
  /** How long this attester has seen the round in its state, on its own clock: that of the ledger its submitters choose. */
  readonly inStateMs: number;
  /** How long it has seen the dispute that was opened last; undefined where there is none. */
  readonly disputedMs?: number;
}

/** A cohort is agreed to when it is the one that follows; one that leaves some out when receipts have had their time. */
export function refuseCohort(
  view: SecureView,
  request: CohortRequest,
  updates: readonly UpdateRecord[],
  receipts: readonly ReceiptRecord[],
): Refusal | undefined {
  const { task, inStateMs } = view;
  const sorted = [...updates].sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  const recordedHash = cohortHash(sorted);
  const said = signedHoldings(view, request.holdings, sorted);
  const own = {
    recordedHash,
    cohortHash: cohortHash(coveredUpdates(sorted, said, receipts).covered),
    holders: said.map(({ mspId }) => mspId),
  };
  const { holders } = request;
  const asked = { recordedHash: request.recordedHash, cohortHash: request.cohortHash, holders };
  if (canonicalJson(own) !== canonicalJson(asked)) {
    return { code: 'ATTESTATION_REFUSED', detail: 'another cohort follows from these holdings and the receipts shown' };
  }
  const isComplete = request.cohortHash === recordedHash && holders.length === view.secure.opening.aggregators.length;
  const leftMs = isComplete ? 0 : Math.ceil(secureTermsOf(task).receiptMs - inStateMs);
  return leftMs <= 0
    ? undefined
    : { code: 'GRACE_NOT_OVER', detail: `receipts may be shown for ${String(leftMs)} ms more`, leftMs };
}

/**
 * What aggregators of the opening signed that they hold of the recorded updates, by MSP id; who signed two different
 * things counts as missing, as in the contract.
 *
 * @param updates by vehicle id.
 */
export function signedHoldings(
  { round, secure, consortium }: SecureView,
  holdings: CohortRequest['holdings'],
  updates: readonly UpdateRecord[],
): readonly Holdings[] {
  const recordedHash = cohortHash(updates);
  return secure.opening.aggregators.flatMap(({ mspId }) => {
    const own = holdings.filter(({ mspId: signer, held, signature }) => {
      const content = { consortium: consortium.bootstrapHash, ...attemptOf(round), mspId, recordedHash, held };
      const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...content };
      return signer === mspId && isSigned(consortium, { mspId, signature }, statement);
    });
    const [text, ...others] = new Set(own.map(({ held }) => held));
    const held = text === undefined || others.length > 0 ? undefined : decodeBitmap(text, updates.length);
    return held === undefined ? [] : [{ mspId, held }];
  });
}

/** What weights are computed for, and beside. */
export interface ScoredVehicles {
  readonly members: CohortRecord['members'];
  /** What the sums that may have been shown on this base count. */
  readonly shown: readonly WeightedCohort[];
  /** Of the references that the scores name, where the task has validators. */
  readonly reference?: ReferenceDirection;
  /** What earlier rounds have made of vehicles; see `suspicionBefore`. */
  readonly suspicion: ReadonlyMap<string, number>;
  /** The earlier rounds that the scores name. */
  readonly past: readonly PastRound[];
  /** How many more they could name by what this attester has had of them. */
  readonly forgotten: number;
  /** Rounds among these whose numbers aggregators have been bound to keep: whoever leaves them out need not. */
  readonly dropped: readonly number[];
}

/**
 * Weights are attested where the same follow from numbers that aggregators signed, and no noise was made up; those of all
 * that made the cohort, unless they had their time: what one says alone is not contradicted by whom nobody asked.
 */
export function refuseScores(view: SecureView, request: ScoresRequest, vehicles: ScoredVehicles): Refusal | undefined {
  const { round, secure, consortium } = view;
  const ref = { consortium: consortium.bootstrapHash, ...attemptOf(round) };
  if (!noncesFit(ref, secure.opening, request.nonces)) {
    return refused('a nonce is not the one that its aggregator committed itself to');
  }
  const cohort = secure.cohortHash ?? '';
  const seed = roundSeed(ref, cohort, request.nonces);
  const basis = basisOf(seed, request.scores.references);
  const unsigned = request.projections.find(
    ({ mspId, components, signature }) =>
      !isSigned(consortium, { mspId, signature }, {
        type: 'sev/projections/v1',
        ...{ ...ref, mspId, cohortHash: cohort, ...basis, components },
      } satisfies ProjectionsStatement),
  );
  if (unsigned !== undefined) {
    return refused(`${unsigned.mspId} did not sign these projections`);
  }
  return (
    refuseNumbers(view, request, vehicles, seed) ??
    refuseNoise(view, request, seed) ??
    refuseFewer(view, request) ??
    refuseForgotten(view, vehicles)
  );
}

/** An aggregator whose holdings made the cohort and whose word is missing has its time. */
function refuseFewer({ task, secure, inStateMs }: SecureView, { projections }: ScoresRequest): Refusal | undefined {
  const terms = secureTermsOf(task);
  if (terms.projections === 0) {
    return undefined;
  }
  const saysAll = (mspId: string): boolean =>
    componentHolders(terms).every(
      (holders, component) =>
        !holders.includes(mspId) ||
        projections.some((one) => one.mspId === mspId && Object.hasOwn(one.components, String(component))),
    );
  const isComplete = (secure.holders ?? []).every((mspId) => secure.faulty.includes(mspId) || saysAll(mspId));
  return isComplete ? undefined : refuseUntil('GRACE_NOT_OVER', stepPatienceMs(task) - inStateMs);
}

/**
 * Vehicles that say the same from round to round show in all of them: no coordinator leaves a round out that it can have
 * opened again, and one that it may not have any more only when it had time.
 */
function refuseForgotten({ task, inStateMs }: SecureView, { forgotten, dropped }: ScoredVehicles): Refusal | undefined {
  if (dropped.length > 0) {
    return refused(`the numbers of round ${dropped.join(', ')} can be had and are left out`);
  }
  return forgotten === 0 ? undefined : refuseUntil('GRACE_NOT_OVER', stepPatienceMs(task) - inStateMs);
}

function refuseNumbers(
  { round, task, secure }: SecureView,
  { projections, numbers, scores }: ScoresRequest,
  { members, shown, reference, past, suspicion }: ScoredVehicles,
  seed: string,
): Refusal | undefined {
  const terms = secureTermsOf(task);
  const components = terms.projections === 0 ? 0 : (secure.opening.aggregators[0]?.nonceLeaves.length ?? 0);
  for (let component = 0; component < components; component++) {
    const hash = numbersHash(numbers[String(component)] ?? '');
    const said = projections.flatMap((one) => one.components[String(component)] ?? []);
    if (said.length === 0 || said.some((signed) => signed !== hash)) {
      return refused(`no aggregator, or not every one, signed the numbers of component ${String(component)}`);
    }
  }
  const own = computeScores({
    task,
    ref: attemptOf(round),
    cohortHash: secure.cohortHash ?? '',
    members,
    seed,
    numbers: components === 0 ? {} : numbers,
    shown,
    past,
    suspicion,
    ...(reference === undefined ? {} : { reference }),
  });
  return canonicalJson(own) === canonicalJson(scores) ? undefined : refused('the recomputation gives other weights');
}

/** Of two candidates the nonces open one: who made its noise up is found out in half of the rounds. */
function refuseNoise(
  { secure, task, round, consortium }: SecureView,
  { noiseSeeds }: ScoresRequest,
  seed: string,
): Refusal | undefined {
  if (secureTermsOf(task).dp === undefined) {
    return undefined;
  }
  const place = { consortium: consortium.bootstrapHash, ...attemptOf(round), baseModelHash: round.baseModelHash };
  const shown = Object.fromEntries(
    secure.opening.aggregators.map(({ mspId }, index) => [mspId, noiseSeeds?.[index] ?? []]),
  );
  const found = checkOpenedNoise(place, task, secure.opening, seed, shown);
  if (found.unshown.length > 0) {
    return refused(`the seed of the noise of ${found.unshown.join(', ')} is not the one that the nonces open`);
  }
  return found.false.length > 0
    ? refused(`the noise of ${found.false.join(', ')} is not what its seed gives`)
    : undefined;
}

function refused(detail: string): Refusal {
  return { code: 'ATTESTATION_REFUSED', detail };
}
