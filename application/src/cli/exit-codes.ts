// SPDX-License-Identifier: Apache-2.0
import { EXIT } from '../errors.js';

/** Every exit code of `sev`; `sev --help` prints this table. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'done' },
  failure: { code: EXIT.failure, meaning: 'something failed that no other code names' },
  usage: { code: EXIT.usage, meaning: 'wrong usage or input: an option, a file, a value' },
  refused: { code: EXIT.refused, meaning: 'refused by the ledger or a CA, or an audit that found something' },
  unreachable: { code: EXIT.unreachable, meaning: 'network not running, or a service that does not answer' },
  integrity: { code: EXIT.integrity, meaning: 'content that does not match its hash or its documented form' },
  interrupted: { code: 130, meaning: 'interrupted with Ctrl-C; what was under way can be resumed' },
} as const;

export function exitCodesText(): string {
  const lines = Object.values(EXIT_CODES).map(({ code, meaning }) => `  ${String(code).padStart(3)}  ${meaning}`);
  return ['Exit codes:', ...lines].join('\n');
}
