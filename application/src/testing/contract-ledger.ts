// SPDX-License-Identifier: Apache-2.0
import { canonicalJson } from '@sev/chaincode/api';
import { newTxId, type Identity, type TestConsortium } from '@sev/chaincode/testing';
import { LedgerError } from '../ledger/errors.js';
import type { Submitted } from '../ledger/session.js';
import type { ServiceSession } from '../services/rounds.js';
import { EventLog } from './event-log.js';
import type { VirtualClock } from './virtual-clock.js';

/** A transaction that was committed. */
export interface Committed {
  readonly mspId: string;
  /** `contract:Transaction`. */
  readonly transaction: string;
  readonly argument: unknown;
  readonly result: unknown;
}

/** Runs around every submitted transaction; throwing in `before` loses it, in `after` hides that it was committed. */
export interface Hooks {
  before?: (transaction: string) => void;
  after?: (transaction: string) => void;
  /** Before every query. */
  read?: () => void;
}

/** The contracts themselves behind the sessions that services use: one transaction a block, events in order. */
export class ContractLedger {
  readonly consortium: TestConsortium;
  /** By so much the time of a transaction departs from the clock's; whoever submits one chooses it within a margin. */
  skewMs = 0;
  readonly transactions: Committed[] = [];
  readonly #clock: VirtualClock;
  readonly #log = new EventLog();
  /** Results of this block, by query. */
  readonly #read = new Map<string, Promise<unknown>>();
  #ordered: Promise<unknown> = Promise.resolve();

  constructor(consortium: TestConsortium, clock: VirtualClock) {
    this.consortium = consortium;
    this.#clock = clock;
  }

  session(identity: Identity, hooks: Hooks = {}): ServiceSession {
    return {
      mspId: identity.mspId,
      evaluate: (contract, transaction, argument) =>
        this.#clock.busyWith(async () => {
          hooks.read?.();
          return this.#evaluate(`${contract}:${transaction}`, argument, identity);
        }),
      submit: (contract, transaction, argument) =>
        this.#clock.busyWith(async () => {
          hooks.before?.(transaction);
          const submitted = await this.#submit(`${contract}:${transaction}`, argument, identity);
          hooks.after?.(transaction);
          return submitted;
        }),
      events: (options) => this.#log.follow(options?.signal),
    };
  }

  /** Everything that is, or ever was, on the ledger, as text. */
  dump(): string {
    return JSON.stringify([this.transactions, this.#log.events.map(({ event }) => event)]);
  }

  /** Every reader of one block reads the same, so that what was read is read once; the services may change their copy. */
  async #evaluate(transaction: string, argument: unknown, identity: Identity): Promise<unknown> {
    const key = `${transaction} ${canonicalJson(argument)}`;
    let reading = this.#read.get(key);
    if (reading === undefined) {
      reading = this.#simulate(transaction, argument, identity).then(({ result }) => result);
      this.#read.set(key, reading);
    }
    return structuredClone(await reading);
  }

  /** Orders one transaction after the other, so that none is simulated on a state that changes meanwhile. */
  #submit(transaction: string, argument: unknown, identity: Identity): Promise<Submitted> {
    const run = this.#ordered.then(async (): Promise<Submitted> => {
      const simulated = await this.#simulate(transaction, argument, identity);
      const { result, event } = simulated;
      const code = this.consortium.commit(simulated);
      if (code !== 'VALID') {
        throw new LedgerError('LEDGER_CONFLICT', code);
      }
      this.#read.clear();
      const { mspId } = identity;
      this.transactions.push({ mspId, transaction, argument: structuredClone(argument), result });
      const transactionId = simulated.stub.proposal.txId;
      const blockNumber = BigInt(this.transactions.length);
      if (event !== undefined) {
        this.#log.emit({ event, transactionId, blockNumber });
      }
      return { result: structuredClone(result), transactionId, blockNumber, attempts: 1 };
    });
    this.#ordered = run.catch(() => undefined);
    return run;
  }

  async #simulate(transaction: string, argument: unknown, identity: Identity) {
    this.consortium.nowMs = Math.floor(this.#clock.nowMs) + this.skewMs;
    const simulated = await this.consortium.simulate(transaction, argument, identity, newTxId());
    const { error, message } = simulated;
    if (error !== undefined) {
      throw new LedgerError(error.code, error.detail);
    }
    if (message !== '') {
      throw new LedgerError('LEDGER_FAILED', message);
    }
    return simulated;
  }
}
