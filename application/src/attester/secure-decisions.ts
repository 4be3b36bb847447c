// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  cohortHash,
  coveredUpdates,
  decodeBitmap,
  componentsOf,
  nonceLeaf,
  openedCandidate,
  reportContext,
  roundSeed,
  type CohortRecord,
  type ConsortiumRecord,
  type HoldingsStatement,
  type ProjectionsStatement,
  type ReceiptRecord,
  type RoundRecord,
  type SecureRound,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import { noiseRoot } from '@sev/fl';
import { noiseReporter } from '../aggregator/cohort-work.js';
import type { CohortRequest, ScoresRequest } from '../coordinator/statements.js';
import { attemptOf } from '../services/attempt.js';
import { isSigned } from '../services/signed-statements.js';
import { computeScores, numbersHash, secureTermsOf } from '../services/secure-scores.js';
import type { Refusal } from './decisions.js';

/** What an attester's own ledger shows of a secure round. */
export interface SecureView {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly round: RoundRecord;
  readonly secure: SecureRound;
}

/** A cohort that leaves some out is agreed to when receipts have had their time, and it is the one that follows. */
export function refuseCohort(
  view: SecureView,
  request: CohortRequest,
  updates: readonly UpdateRecord[],
  receipts: readonly ReceiptRecord[],
  nowMs: number,
): Refusal | undefined {
  const { round, task, consortium } = view;
  const sorted = [...updates].sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  const recordedHash = cohortHash(sorted);
  const signed = request.holdings.filter(({ mspId, held, signature }) =>
    isSigned(consortium, { mspId, signature }, {
      type: 'sev/holdings/v1',
      ...{ consortium: consortium.bootstrapHash, ...attemptOf(round), mspId, recordedHash, held },
    } satisfies HoldingsStatement),
  );
  const said = signed.map(({ mspId, held }) => ({ mspId, held: decodeBitmap(held, sorted.length) ?? [] }));
  const own = {
    recordedHash,
    cohortHash: cohortHash(coveredUpdates(sorted, said, receipts).covered),
    holders: signed.map(({ mspId }) => mspId).sort(),
  };
  const { holders } = request;
  const asked = { recordedHash: request.recordedHash, cohortHash: request.cohortHash, holders };
  if (canonicalJson(own) !== canonicalJson(asked)) {
    return { code: 'ATTESTATION_REFUSED', detail: 'another cohort follows from these holdings and the receipts shown' };
  }
  const leftMs = Math.ceil((round.closedAtMs ?? nowMs) + secureTermsOf(task).receiptMs - nowMs);
  return leftMs <= 0
    ? undefined
    : { code: 'GRACE_NOT_OVER', detail: `receipts may be shown for ${String(leftMs)} ms more`, leftMs };
}

/** Weights are attested where the same follow from numbers that aggregators signed, and no noise was made up. */
export function refuseScores(
  view: SecureView,
  request: ScoresRequest,
  members: CohortRecord['members'],
): Refusal | undefined {
  const { round, secure, consortium } = view;
  const ref = { consortium: consortium.bootstrapHash, ...attemptOf(round) };
  const fits = secure.opening.aggregators.every(({ mspId, nonceLeaves }, index) =>
    nonceLeaves.every((leaf, c) => nonceLeaf(ref, mspId, c, request.nonces[index]?.[c] ?? '') === leaf),
  );
  if (!fits) {
    return refused('a nonce is not the one that its aggregator committed itself to');
  }
  const cohort = secure.cohortHash ?? '';
  const seed = roundSeed(ref, cohort, request.nonces);
  const unsigned = request.projections.find(
    ({ mspId, components, signature }) =>
      !isSigned(consortium, { mspId, signature }, {
        type: 'sev/projections/v1',
        ...{ ...ref, mspId, cohortHash: cohort, seed, components },
      } satisfies ProjectionsStatement),
  );
  if (unsigned !== undefined) {
    return refused(`${unsigned.mspId} did not sign these projections`);
  }
  return refuseNumbers(view, request, members, seed) ?? refuseNoise(view, request, seed);
}

function refuseNumbers(
  { round, task, secure }: SecureView,
  { projections, numbers, scores }: ScoresRequest,
  members: CohortRecord['members'],
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
  });
  return canonicalJson(own) === canonicalJson(scores) ? undefined : refused('the recomputation gives other weights');
}

/** Of two candidates the nonces open one: who made its noise up is found out in half of the rounds. */
function refuseNoise(
  { secure, task, round, consortium }: SecureView,
  { noiseSeeds }: ScoresRequest,
  seed: string,
): Refusal | undefined {
  const terms = secureTermsOf(task);
  const { dp } = terms;
  if (dp === undefined) {
    return undefined;
  }
  const { baseModelHash } = round;
  const place = { consortium: consortium.bootstrapHash, ...attemptOf(round), baseModelHash };
  const dishonest = secure.opening.aggregators.find(({ mspId, noise }, index) => {
    const candidate = openedCandidate(seed, mspId);
    const root = noiseRoot(Buffer.from(noiseSeeds?.[index] ?? '', 'hex'), {
      context: reportContext({ ...place, reporter: noiseReporter(mspId, candidate) }),
      holders: componentsOf(terms.aggregators.length, terms.threshold),
      length: task.model.parameters + terms.metrics.length,
      deviation: dp.noiseDeviation,
    });
    return root !== noise?.[candidate].root;
  });
  return dishonest && refused(`the noise of ${dishonest.mspId} is not what its seed gives`);
}

function refused(detail: string): Refusal {
  return { code: 'ATTESTATION_REFUSED', detail };
}
