// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  cohortHash,
  decodeBitmap,
  heCohort,
  heReceivers,
  type ConsortiumRecord,
  type HoldingsStatement,
  type RoundRecord,
  type Task,
  type UpdateRecord,
} from '@sev/chaincode/api';
import type { Refusal } from '../attester/decisions.js';
import type { CohortRequest } from '../coordinator/statements.js';
import { attemptOf } from '../services/attempt.js';
import { isSigned } from '../services/signed-statements.js';
import { heTermsOf } from './he-task.js';

/** What an attester's own ledger shows of a round in mode `he`. */
export interface HeCohortView {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly round: RoundRecord;
  /** All recorded ones. */
  readonly updates: readonly UpdateRecord[];
  /** How long the attester has seen the round closed, on its own clock. */
  readonly inStateMs: number;
}

/** A cohort that leaves some out is agreed to when it follows from what both receivers signed, and time has been given. */
export function refuseHeCohort(
  { consortium, task, round, updates, inStateMs }: HeCohortView,
  request: CohortRequest,
): Refusal | undefined {
  const terms = heTermsOf(task);
  const sorted = [...updates].sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  const recordedHash = cohortHash(sorted);
  const said = request.holdings.filter(({ mspId, held, signature }) => {
    const content = { consortium: consortium.bootstrapHash, ...attemptOf(round), mspId, recordedHash, held };
    const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...content };
    return heReceivers(terms).includes(mspId) && isSigned(consortium, { mspId, signature }, statement);
  });
  const holdings = said.map(({ mspId, held }) => ({ mspId, held: decodeBitmap(held, sorted.length) ?? [] }));
  const own = {
    recordedHash,
    cohortHash: cohortHash(heCohort(terms, sorted, holdings)),
    holders: heReceivers(terms),
  };
  const { recordedHash: asked, cohortHash: fixed, holders } = request;
  const signers = said.map(({ mspId }) => mspId).sort();
  const isSame = canonicalJson(own) === canonicalJson({ recordedHash: asked, cohortHash: fixed, holders });
  if (!isSame || canonicalJson(signers) !== canonicalJson(own.holders)) {
    return { code: 'ATTESTATION_REFUSED', detail: 'another cohort follows from what summer and mask holder signed' };
  }
  const leftMs = Math.ceil(terms.receiptMs - inStateMs);
  return leftMs <= 0
    ? undefined
    : { code: 'GRACE_NOT_OVER', detail: `vehicles have ${String(leftMs)} ms more`, leftMs };
}
