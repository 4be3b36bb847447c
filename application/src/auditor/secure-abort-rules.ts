// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, namesHeParty, type AbortRound } from '@sev/chaincode/api';
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

/** What an abort leaves of a secure round: the same, with whom it accuses. */
export function secureAfterAbort({ secure }: Round, { accused = [] }: AbortRound): Round['secure'] {
  return secure === undefined
    ? undefined
    : { ...secure, accused: [...new Set([...secure.accused, ...accused])].sort() };
}
