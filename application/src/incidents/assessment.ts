// SPDX-License-Identifier: Apache-2.0
import type { IncidentFindings } from '@sev/chaincode/api';

/** Which way one opened update speaks. */
export type Speaks = 'confirm' | 'clear' | 'neither';

export interface JudgedUpdate {
  readonly round: number;
  readonly speaks: Speaks;
  /** In words. */
  readonly because: string;
}

/** What findings say, for whoever has to vote. It decides nothing: people do. */
export interface Assessment {
  readonly updates: readonly JudgedUpdate[];
  readonly confirm: number;
  readonly clear: number;
  readonly summary: string;
}

/** Twice the deviation of a cosine that 64 projections give; below it either sign may be chance. */
const UNSURE_MILLI = 250;
/** What clipping and rounding leave an honest update, as a multiple of the clip; beyond it nobody comes by accident. */
const LENGTH_LIMIT = 1.25;

/**
 * Reads findings the way the report explains them: an update that points away from what the validators want, is longer than a
 * vehicle may report, is nothing at all, or was reported before, speaks for `confirm`; one that points along with them speaks
 * for `clear`.
 *
 * @param terms bound on an update's norm, in thousandths, and whether the task has a reference direction.
 */
export function assess(
  { updates }: IncidentFindings,
  terms: { readonly clipMilli: number; readonly hasReference: boolean },
): Assessment {
  const seen = new Map<string, number>();
  const judged = updates.map((update): JudgedUpdate => {
    const before = update.vectorHash === undefined ? undefined : seen.get(update.vectorHash);
    if (update.vectorHash !== undefined && before === undefined) {
      seen.set(update.vectorHash, update.round);
    }
    return { round: update.round, ...judge(update, before, terms) };
  });
  const count = (speaks: Speaks): number => judged.filter((one) => one.speaks === speaks).length;
  const [confirm, clear] = [count('confirm'), count('clear')];
  return { updates: judged, confirm, clear, summary: summaryOf(judged.length, confirm, clear) };
}

function judge(
  { cosineMilli, normMilli, vectorHash }: IncidentFindings['updates'][number],
  before: number | undefined,
  { clipMilli, hasReference }: { readonly clipMilli: number; readonly hasReference: boolean },
): Omit<JudgedUpdate, 'round'> {
  if (normMilli === 0) {
    return { speaks: 'confirm', because: 'an update of zeros: nothing was learnt' };
  }
  if (before !== undefined) {
    return { speaks: 'confirm', because: `the very update that it reported in round ${String(before)}` };
  }
  if (normMilli > LENGTH_LIMIT * clipMilli) {
    return {
      speaks: 'confirm',
      because: `${(normMilli / clipMilli).toFixed(1)} times as long as a vehicle may report`,
    };
  }
  if (!hasReference) {
    return { speaks: 'neither', because: 'the task has no reference direction' };
  }
  const unsure = vectorHash === undefined ? UNSURE_MILLI : 0;
  if (cosineMilli <= -unsure) {
    return { speaks: 'confirm', because: 'points away from the reference direction' };
  }
  return cosineMilli > unsure
    ? { speaks: 'clear', because: 'points along with the reference direction' }
    : { speaks: 'neither', because: 'no clear direction in the projections' };
}

function summaryOf(all: number, confirm: number, clear: number): string {
  const counts = `${String(confirm)} of ${String(all)} opened updates speak for confirm, ${String(clear)} for clear`;
  if (2 * confirm > all) {
    return `${counts}: this speaks for --step confirm`;
  }
  return 2 * clear > all ? `${counts}: this speaks for --step clear` : `${counts}: this decides nothing yet`;
}
