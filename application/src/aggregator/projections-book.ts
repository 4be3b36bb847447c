// SPDX-License-Identifier: Apache-2.0
import type { ProjectionsStatement } from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { attemptKey } from '../services/attempt.js';
import type { AttemptFolder } from './inbox.js';
import { insistOnSame, type Signed, type StatementBook, type Unsigned } from './statement-book.js';

const TYPE = 'sev/projections/v1';
/** Validators that a task can name. */
const MOST_REFERENCES = 7;

/**
 * Signs projections once for each set of references. A validator may show its direction after some aggregators have signed
 * without it: they sign again where the set has only grown, or the attempt would be lost to whoever is late. What each of its
 * steps opens is one more number of each vehicle, and there are no more steps than validators beyond a majority.
 *
 * @throws SevError STATEMENT_CONFLICT where something else is signed already: other numbers, or references of which neither
 *   set contains the other; STORAGE_FULL, STORAGE_FAILED, STATEMENT_DAMAGED.
 */
export async function signProjections(
  book: StatementBook,
  folder: AttemptFolder,
  content: Omit<Unsigned<ProjectionsStatement>, 'type'>,
): Promise<Signed<ProjectionsStatement>> {
  const { references } = content;
  if (references !== undefined) {
    await insistOnGrowth(book, folder, references);
  }
  const variant = references === undefined ? undefined : String(references.length);
  const signed = await book.signOnce<ProjectionsStatement>(folder, TYPE, content, variant);
  insistOnSame(folder.ref, signed.statement, content);
  return signed;
}

async function insistOnGrowth(
  book: StatementBook,
  folder: AttemptFolder,
  references: readonly string[],
): Promise<void> {
  for (let size = 1; size <= MOST_REFERENCES; size++) {
    const before = await book.signedBefore<ProjectionsStatement>(folder, TYPE, String(size));
    const signed = before?.statement.references ?? [];
    const [fewer, more] = size < references.length ? [signed, references] : [references, signed];
    const dropped = fewer.filter((mspId) => !more.includes(mspId));
    if (before !== undefined && dropped.length > 0) {
      throw new SevError(
        'STATEMENT_CONFLICT',
        `${attemptKey(folder.ref)}: projections are signed along other directions: ${signed.join(', ')}`,
        { hint: 'Nothing was signed or shown.', exitCode: EXIT.integrity },
      );
    }
  }
}
