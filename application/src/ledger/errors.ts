// SPDX-License-Identifier: Apache-2.0
import type { ErrorCode } from '@sev/chaincode/api';
import { EXIT, SevError, type ExitCode } from '../errors.js';

/** Codes of what can go wrong between a contract and its caller; contract errors keep the code of the contract. */
export const LEDGER_CODES = {
  LEDGER_UNREACHABLE: 'The gateway cannot be reached, or has no peer that answers.',
  LEDGER_TIMEOUT: 'The gateway did not answer in time.',
  LEDGER_CONFLICT: 'Others kept changing what the transaction reads.',
  LEDGER_REFUSED: 'The network does not accept the identity.',
  LEDGER_FAILED: 'The gateway or a peer failed to process the request.',
  LEDGER_BLOCKS_MISSING: 'The peer does not hold the blocks that are asked for.',
  LEDGER_FATE_UNKNOWN: 'The transaction was sent and whether it was committed could not be learned.',
  LEDGER_COMMIT_FAILED: 'The transaction was ordered and found invalid.',
} as const;
export type LedgerCode = keyof typeof LEDGER_CODES;

const HINTS: Readonly<Partial<Record<LedgerCode | ErrorCode, string>>> = {
  LEDGER_UNREACHABLE: 'Is the network running? `sev network status` tells.',
  LEDGER_TIMEOUT: 'The network is slow or stuck; `sev network status` tells.',
  LEDGER_CONFLICT: 'Try again later.',
  LEDGER_REFUSED:
    'Is the certificate of this network, in date and not revoked? Enrol again if the network was replaced.',
  LEDGER_BLOCKS_MISSING:
    'A peer that was built from a snapshot holds later blocks only: read from another organisation with --org and --home.',
  LEDGER_FATE_UNKNOWN: 'Ask for the transaction by its id before sending anything again.',
  ACCESS_DENIED: 'Use an identity that has the right: --org and --home choose it.',
  CALLER_UNKNOWN: 'Governance decides which roles an organisation may give; use an identity with one of them.',
  GOVERNANCE_MISSING: 'Set the consortium up with `sev network up`.',
  GOVERNANCE_CONFLICT: 'Changes after the bootstrap are proposed and voted on.',
  VEHICLE_UNKNOWN: '`sev vehicle list` names the enrolled vehicles.',
  VEHICLE_CONFLICT: 'Make another identity in a new home with `sev vehicle init`.',
  VEHICLE_NOT_ACTIVE: '`sev vehicle show` tells its status; a suspended one can be reinstated.',
  VEHICLE_STATUS_TRANSITION: '`sev vehicle show` tells its status; a revoked vehicle stays revoked.',
  VEHICLE_CERTIFICATE_EXPIRED: 'Its registrar can give it another key: `sev vehicle rotate --lost`.',
  KEY_ROTATION_STALE: 'The key was changed meanwhile; `sev vehicle show` tells when and by whom. Try again.',
  STATE_NEWER: "Upgrade the chaincode of the gateway's peer to the version that the others run.",
  ORGANISATION_CONFLICT: 'Propose put-organisation to change a member.',
  PROPOSAL_NOT_REJECTED: 'Its proposer can withdraw it; others once a majority has voted against it.',
  TAG_ALREADY_ENROLLED: 'A car has one identity in a domain; use the one that it has.',
  PUBLIC_KEY_ALREADY_ENROLLED: 'Make another key in a new home with `sev vehicle init`.',
  MAKER_UNKNOWN: "Governance accredits makers; ask the car's maker for its attestation.",
  MAKER_CONFLICT: "A maker's key stays with its organisation, where its cars' tags are; take another id and key.",
  ATTESTATION_INVALID: "Ask the car's maker for an attestation of this key and organisation.",
  QUOTA_EXCEEDED: 'Governance can raise the quota by vote.',
  RATE_EXCEEDED: 'Enrol the rest in the next window.',
  TASK_UNKNOWN: '`sev task list` names the tasks.',
  ATTEMPTS_EXHAUSTED:
    'The model of the round before stands; `sev audit history round <task>/<round>` tells how the attempts ended. A new task begins with an initial model of its own.',
  BASE_TAKEN:
    'Begin with another initial model: take another task id or --seed. To continue from a model of another task, take that of its last planned round.',
  TASK_CONFLICT: 'Choose another id: a task never changes.',
  TERMS_BELOW_FLOOR:
    'Change the field that is named; docs/security.md says what the floors are for. Mode plain has none, and shows updates.',
  ROUND_UNKNOWN: '`sev round list` names the rounds of a task.',
  MODEL_UNKNOWN: '`sev round list` names the models of a task.',
};

/** What the reader of a code can do next, where there is something. */
export function hintFor(code: string): string | undefined {
  return (HINTS as Readonly<Partial<Record<string, string>>>)[code];
}

const EXIT_CODES: Readonly<Partial<Record<string, ExitCode>>> = {
  LEDGER_UNREACHABLE: EXIT.unreachable,
  LEDGER_TIMEOUT: EXIT.unreachable,
  LEDGER_FATE_UNKNOWN: EXIT.unreachable,
  LEDGER_CONFLICT: EXIT.failure,
  LEDGER_FAILED: EXIT.failure,
  LEDGER_BLOCKS_MISSING: EXIT.failure,
  LEDGER_COMMIT_FAILED: EXIT.failure,
};

export interface LedgerErrorOptions {
  readonly transactionId?: string | undefined;
  readonly cause?: unknown;
}

/** A refusal or failure of the ledger. `code` is a contract's code or one of {@link LEDGER_CODES}. */
export class LedgerError extends SevError {
  /** The transaction that failed, where there is one. */
  readonly transactionId?: string;
  /** What the contract or the gateway said, without the code. */
  readonly detail: string;

  constructor(code: string, detail: string, options: LedgerErrorOptions = {}) {
    super(code, `${code}: ${detail}`, {
      hint: hintFor(code),
      exitCode: EXIT_CODES[code] ?? EXIT.refused,
      cause: options.cause,
    });
    this.name = 'LedgerError';
    this.detail = detail;
    if (options.transactionId !== undefined) {
      this.transactionId = options.transactionId;
    }
  }
}
