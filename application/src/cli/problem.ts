// SPDX-License-Identifier: Apache-2.0
import { SevError, messageOf } from '../errors.js';
import { EXIT_CODES } from './exit-codes.js';

/** A failure as it is shown: what, what to do next, and how the program ends. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly exitCode: number;
}

/**
 * Typed errors of the other packages, told by their name: importing the packages for their classes alone would make
 * every start of `sev` slower.
 */
const TYPED: Readonly<Record<string, { readonly exitCode: number; readonly hint?: string }>> = {
  NetworkError: { exitCode: EXIT_CODES.failure.code },
  TopologyError: { exitCode: EXIT_CODES.usage.code, hint: 'Mend the topology file and run the command again.' },
  DataError: { exitCode: EXIT_CODES.usage.code, hint: 'Mend the data or the options and run the command again.' },
  ModelError: { exitCode: EXIT_CODES.integrity.code },
  ContractError: { exitCode: EXIT_CODES.refused.code },
};

/** What is better known by the code than by the kind of error. */
const BY_CODE: Readonly<Record<string, { readonly exitCode: number; readonly hint?: string }>> = {
  NETWORK_NOT_RUNNING: {
    exitCode: EXIT_CODES.unreachable.code,
    hint: 'Start it with `sev network up` (or `make network-up`).',
  },
  PORT_IN_USE: {
    exitCode: EXIT_CODES.usage.code,
    hint: 'End the other program, or move the network with SEV_PORT_OFFSET (a number, or `ephemeral`).',
  },
  PORT_OFFSET_INVALID: { exitCode: EXIT_CODES.usage.code },
  NETWORK_KIND_INVALID: { exitCode: EXIT_CODES.usage.code },
  FABRIC_NOT_SUPPORTED: { exitCode: EXIT_CODES.usage.code, hint: 'Use NETWORK=embedded.' },
  NETWORK_BUSY: { exitCode: EXIT_CODES.failure.code, hint: 'Wait for the other command to end.' },
  STATE_FOREIGN: {
    exitCode: EXIT_CODES.failure.code,
    hint: 'Name another state folder with SEV_NETWORK_HOME, or remove the old state with `sev network clean`.',
  },
};

/** Any failure as a problem; what is not typed is shown as UNEXPECTED. */
export function problemOf(error: unknown): Problem {
  if (error instanceof SevError) {
    const { code, hint, exitCode } = error;
    return problem(code, withoutCode(error.message, code), exitCode, hint);
  }
  const kind = error instanceof Error ? TYPED[error.name] : undefined;
  if (error instanceof Error && kind !== undefined && 'code' in error && typeof error.code === 'string') {
    const { exitCode, hint } = BY_CODE[error.code] ?? kind;
    return problem(error.code, withoutCode(error.message, error.code), exitCode, hint);
  }
  const hint = 'Run the command again with SEV_DEBUG=1 to see where it comes from.';
  return problem('UNEXPECTED', messageOf(error), EXIT_CODES.failure.code, hint);
}

function problem(code: string, message: string, exitCode: number, hint: string | undefined): Problem {
  return hint === undefined ? { code, message, exitCode } : { code, message, hint, exitCode };
}

function withoutCode(message: string, code: string): string {
  return message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message;
}
