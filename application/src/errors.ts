// SPDX-License-Identifier: Apache-2.0

/** Exit codes of every program; `sev --help` lists them. */
export const EXIT = {
  /** Something went wrong that no other code names. */
  failure: 1,
  /** Bad input: an option, a file, a value. */
  usage: 2,
  /** The ledger or a certificate authority refused. */
  refused: 3,
  /** The network, a service or the store cannot be reached, or did not answer in time. */
  unreachable: 4,
  /** Content does not match what was signed, hashed or recorded. */
  integrity: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface SevErrorOptions {
  /** What the reader can do next; one sentence. */
  readonly hint?: string | undefined;
  readonly exitCode?: ExitCode | undefined;
  readonly cause?: unknown;
}

/** Every failure that a program reports: a stable CODE, what happened, and what to do next. */
export class SevError extends Error {
  readonly code: string;
  readonly hint?: string;
  readonly exitCode: ExitCode;

  constructor(code: string, message: string, options: SevErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SevError';
    this.code = code;
    if (options.hint !== undefined) {
      this.hint = options.hint;
    }
    this.exitCode = options.exitCode ?? EXIT.failure;
  }
}

/** True for a {@link SevError} with one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): error is SevError {
  return error instanceof SevError && codes.includes(error.code);
}

/** The `code` of a Node.js system error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) {
    return undefined;
  }
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
