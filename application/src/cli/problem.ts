// SPDX-License-Identifier: Apache-2.0
import { InvalidArgumentError } from 'commander';
import { SevError, messageOf, systemCode } from '../errors.js';
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
  EngineError: { exitCode: EXIT_CODES.usage.code, hint: 'docs/engines.md says what each engine takes.' },
  ContractError: { exitCode: EXIT_CODES.refused.code },
};

/** What is better known by the code than by the kind of error. */
const BY_CODE: Readonly<Record<string, { readonly exitCode: number; readonly hint?: string }>> = {
  MODEL_TOO_LARGE: {
    exitCode: EXIT_CODES.usage.code,
    hint: 'Every bucket and every text of a vocabulary is an input: let the schema have fewer.',
  },
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
  FABRIC_MISSING: { exitCode: EXIT_CODES.usage.code },
  FABRIC_VERSION: { exitCode: EXIT_CODES.usage.code },
  PROGRAM_FAILED: {
    exitCode: EXIT_CODES.failure.code,
    hint: '`sev network doctor` looks for the usual causes; `sev network logs` shows what the nodes say.',
  },
  CHAINCODE_INVALID: { exitCode: EXIT_CODES.usage.code },
  APPROVALS_MISSING: { exitCode: EXIT_CODES.refused.code, hint: 'Run the command again when they have approved it.' },
  CHANNEL_MISSING: { exitCode: EXIT_CODES.usage.code },
  ORGANISATION_UNKNOWN: { exitCode: EXIT_CODES.usage.code },
  ORGANISATION_CONFLICT: { exitCode: EXIT_CODES.refused.code },
  PART_INVALID: { exitCode: EXIT_CODES.integrity.code },
  BUNDLE_INVALID: { exitCode: EXIT_CODES.integrity.code },
  UPDATE_INVALID: { exitCode: EXIT_CODES.integrity.code },
  FAULT_TOLERANCE: { exitCode: EXIT_CODES.refused.code },
  ORDERERS_MISSING: {
    exitCode: EXIT_CODES.unreachable.code,
    hint: 'Run the command again when the others are up; it goes on where it stands.',
  },
  CONFIG_NOT_COMMITTED: { exitCode: EXIT_CODES.unreachable.code, hint: 'Run the command again; it goes on.' },
  BACKUP_INVALID: { exitCode: EXIT_CODES.integrity.code },
  SNAPSHOT_INVALID: { exitCode: EXIT_CODES.integrity.code },
  ALREADY_EXISTS: { exitCode: EXIT_CODES.usage.code },
  NETWORK_RUNNING: { exitCode: EXIT_CODES.usage.code, hint: 'Stop it with `sev network down`.' },
  NOT_SUPPORTED: { exitCode: EXIT_CODES.usage.code },
  NODE_UNKNOWN: { exitCode: EXIT_CODES.usage.code },
  NETWORK_START_FAILED: {
    exitCode: EXIT_CODES.failure.code,
    hint: 'Mend what the message names and run `sev network up` again; the log of the network tells more.',
  },
  NETWORK_STOP_FAILED: { exitCode: EXIT_CODES.failure.code, hint: 'Run `sev network down` again.' },
  ALREADY_RUNNING: { exitCode: EXIT_CODES.failure.code, hint: 'Run `sev network down`, then `sev network up`.' },
  PROFILE_INVALID: { exitCode: EXIT_CODES.integrity.code, hint: '`sev network up` writes the profile again.' },
  DATA_LOSS: { exitCode: EXIT_CODES.integrity.code },
  NETWORK_BUSY: { exitCode: EXIT_CODES.failure.code, hint: 'Wait for the other command to end.' },
  STATE_FOREIGN: {
    exitCode: EXIT_CODES.failure.code,
    hint: 'Name another state folder with SEV_NETWORK_HOME, or remove the old state with `sev network clean`.',
  },
};

/** What the operating system says of a path that a command was given. */
const FILE_CODES = new Set(['ENOENT', 'EACCES', 'EPERM', 'EISDIR', 'ENOTDIR', 'EEXIST', 'EROFS']);

/** Any failure as a problem; what is not typed is shown as UNEXPECTED. */
export function problemOf(error: unknown): Problem {
  if (error instanceof SevError) {
    const { code, hint } = error;
    const exitCode = code === 'INTERRUPTED' ? EXIT_CODES.interrupted.code : error.exitCode;
    return problem(code, withoutCode(error.message, code), exitCode, hint);
  }
  if (error instanceof InvalidArgumentError) {
    return problem('USAGE', error.message, EXIT_CODES.usage.code, 'Add --help for the operands and options.');
  }
  const system = systemCode(error);
  if (system !== undefined && FILE_CODES.has(system)) {
    return problem(
      'FILE_UNUSABLE',
      messageOf(error),
      EXIT_CODES.usage.code,
      'Check the path and run the command again.',
    );
  }
  if (system === 'ENOSPC') {
    return problem('DISK_FULL', messageOf(error), EXIT_CODES.failure.code, 'Free space and run the command again.');
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
