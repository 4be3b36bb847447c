// SPDX-License-Identifier: Apache-2.0
import { DEFAULT_RETENTION_MS } from '../aggregator/retention.js';
import type { ScoresRequest } from '../coordinator/statements.js';
import { SevError } from '../errors.js';
import { attemptKey } from '../services/attempt.js';
import type { PastRound, PastRounds } from '../services/past-rounds.js';
import type { ScoredVehicles, SecureView } from './secure-decisions.js';

/** Aggregators that keep what is the default can open a finalised round's numbers again for as long. */
const OPENED_AGAIN_MS = DEFAULT_RETENTION_MS;

/**
 * The earlier rounds that scores name, by the hashes on the attester's own ledger.
 *
 * @param nowMs on the ledger's clock.
 * @throws SevError ATTESTATION_REFUSED for one that is not among those that come before, PAST_NUMBERS_MISSING where their
 *   numbers are not known here and not sent, PROJECTIONS_INVALID.
 */
export async function namedRounds(
  past: PastRounds,
  { task, round }: SecureView,
  { scores, past: sent }: ScoresRequest,
  nowMs: number,
): Promise<Pick<ScoredVehicles, 'past' | 'forgotten' | 'dropped'>> {
  const before = await past.before(task, round.round);
  const named = scores.past ?? [];
  const rounds: PastRound[] = [];
  for (const [index, one] of named.entries()) {
    const record = before.find((other) => other.round === one.round && other.attempt === one.attempt);
    const isLater = index === 0 || (named[index - 1]?.round ?? 0) < one.round;
    if (record === undefined || !isLater) {
      const which = `${String(one.round)}/${String(one.attempt)}`;
      throw new SevError('ATTESTATION_REFUSED', `attempt ${which} is no final one that these scores follow from`);
    }
    const found = await past.of(task, record, sent?.[index]);
    if (found === undefined) {
      throw new SevError('PAST_NUMBERS_MISSING', `the numbers of ${attemptKey(record)} are not known here`);
    }
    rounds.push(found);
  }
  const known = before.filter((record) => past.numbersOf(record) !== undefined);
  const isNamed = ({ round: number }: { readonly round: number }): boolean => named.some((one) => one.round === number);
  const forgotten = known.filter((record) => !isNamed(record));
  const dropped = forgotten.filter(({ finalisedAtMs = 0 }) => nowMs < finalisedAtMs + OPENED_AGAIN_MS);
  return { past: rounds, forgotten: forgotten.length, dropped: dropped.map(({ round: number }) => number) };
}
