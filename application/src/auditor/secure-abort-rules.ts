// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, namesHeParty, silentArbiter, type AbortRound, type Task } from '@sev/chaincode/api';
import type { Audited } from './records.js';

type Round = Audited<'round'>;

/**
 * Whether an abort may accuse whom it does: aggregators whose noise is shown now, for this reason and no other; parties of
 * mode `he` in that mode.
 */
export function isAccusationPossible({ state, secure, he }: Round, { reason, accused }: AbortRound): boolean {
  if (reason !== 'NOISE_FALSE') {
    return accused === undefined && (he !== undefined || !namesHeParty(reason));
  }
  const noisy = secure?.opening.aggregators.flatMap(({ mspId, noise }) => (noise === undefined ? [] : [mspId])) ?? [];
  const names = accused ?? [];
  return (
    state === 'cohort' &&
    names.length > 0 &&
    canonicalJson(names) === canonicalJson([...new Set(names)].sort()) &&
    names.every((mspId) => noisy.includes(mspId))
  );
}

/** What an abort leaves of a secure round: the same, with whom it accuses, and whose verdict was waited for. */
export function secureAfterAbort(
  before: Round,
  { reason, accused = [], task, timestampMs }: AbortRound & { readonly task: Task; readonly timestampMs: number },
): Round['secure'] {
  const { secure } = before;
  if (secure === undefined) {
    return undefined;
  }
  const isKept = secure.rules !== undefined && reason === 'DISPUTE_UNSETTLED';
  const silent = isKept ? silentArbiter(before, task, timestampMs) : [];
  return {
    ...secure,
    accused: [...new Set([...secure.accused, ...accused])].sort(),
    ...(silent.length === 0 ? {} : { silent }),
  };
}
