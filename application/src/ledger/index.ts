// SPDX-License-Identifier: Apache-2.0
export { governance, learning, pages, registry, type AttemptRef, type RoundRef } from './contracts.js';
export { incidents } from './incidents.js';
export { LEDGER_CODES, LedgerError, hintFor, type LedgerCode } from './errors.js';
export { openSession, type SessionOptions } from './gateway-session.js';
export { rewards } from './rewards.js';
export { DEFAULT_RETRY_POLICY, decide, type RetryPolicy } from './retry.js';
export type {
  BlockOptions,
  ContractName,
  EventOptions,
  LedgerEventEnvelope,
  LedgerSession,
  SubmitOptions,
  Submitted,
} from './session.js';
export { DEFAULT_TIMEOUTS, type Timeouts } from './submit.js';
