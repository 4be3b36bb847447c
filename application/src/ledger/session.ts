// SPDX-License-Identifier: Apache-2.0
import type { common } from '@hyperledger/fabric-protos';
import type { LedgerEvent } from '@sev/chaincode/api';

export type ContractName = 'governance' | 'registry' | 'learning' | 'incidents' | 'rewards';

/** What a committed transaction returned, and where it stands. */
export interface Submitted<T = unknown> {
  readonly result: T;
  readonly transactionId: string;
  readonly blockNumber: bigint;
  /** 1, plus one for every time it had to be endorsed again. */
  readonly attempts: number;
}

export interface SubmitOptions {
  readonly signal?: AbortSignal;
}

export interface LedgerEventEnvelope {
  readonly event: LedgerEvent;
  readonly transactionId: string;
  readonly blockNumber: bigint;
}

export interface EventOptions {
  /** First block to read; default: the next one after the call. */
  readonly startBlock?: bigint;
  /** Leave out everything up to and including this transaction of the first block. */
  readonly afterTransactionId?: string;
  readonly signal?: AbortSignal;
}

export interface BlockOptions {
  /** Default 0. */
  readonly startBlock?: bigint;
  /** Last block to read; default: never ends. */
  readonly endBlock?: bigint;
  readonly signal?: AbortSignal;
}

/** One identity on one gateway of the channel. */
export interface LedgerSession {
  readonly mspId: string;
  /** Enrollment id under which the identity lies in its wallet. */
  readonly label: string;
  /**
   * Runs a transaction on one peer, writing nothing.
   *
   * @param argument becomes one canonical JSON string.
   * @returns the parsed JSON result.
   * @throws LedgerError
   */
  evaluate(contract: ContractName, transaction: string, argument: unknown): Promise<unknown>;
  /**
   * Has a transaction endorsed, ordered and committed, exactly once, whatever fails on the way.
   *
   * @throws LedgerError
   */
  submit(contract: ContractName, transaction: string, argument: unknown, options?: SubmitOptions): Promise<Submitted>;
  /** Events of the contracts; goes on by itself after a broken connection, none lost and none twice. */
  events(options?: EventOptions): AsyncIterable<LedgerEventEnvelope>;
  /** Blocks of the channel in order; goes on by itself after a broken connection. */
  blocks(options?: BlockOptions): AsyncIterable<common.Block>;
  /** Number of blocks on the channel as this gateway's peer has it. */
  height(): Promise<bigint>;
  /** Ends all streams of the session. */
  close(): void;
}
