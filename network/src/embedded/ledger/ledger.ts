// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { common, peer } from '@hyperledger/fabric-protos';
import { ClassicLevel } from 'classic-level';
import {
  BLOCK_METADATA,
  blockDataHash,
  blockHeaderHash,
  getBlockMetadata,
  required,
  setBlockMetadata,
  sha256,
} from '../protocol/block.js';
import { closeAll } from '../../closing.js';
import { BlockFiles, type BlockLocation, type ScannedFrame } from './blockfiles.js';
import { commitHash } from './commithash.js';
import { LedgerError } from './errors.js';
import {
  blockKey,
  decodeTransactionRecord,
  encodeStateValue,
  encodeTransactionRecord,
  historyKey,
  historyPrefix,
  SAVEPOINT_KEY,
  stateKey,
  transactionKey,
  type TransactionRecord,
} from './keys.js';
import { CommitNotifier } from './notifier.js';
import { encodeHistory, StateSnapshot, type Database } from './state.js';
import { isIndexed, readTransactions, type CommittedTransaction } from './transactions.js';

interface BlockIndexEntry extends BlockLocation {
  readonly sha256: string;
}

/** State of the ledger after its last block. */
interface Savepoint {
  readonly height: number;
  readonly headerHash: string;
  readonly commitHash: string;
  readonly end: { file: number; offset: number };
}

type Operation = { type: 'put'; key: Buffer; value: Buffer } | { type: 'del'; key: Buffer };
type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

const EMPTY: Savepoint = { height: 0, headerHash: '', commitHash: '', end: { file: 0, offset: 0 } };

/**
 * The channel's ledger: block files, and one LevelDB store with state, history, block and transaction index. A block is
 * first on disk in its file, then applied to the store in one synced batch; only then is it said to be committed.
 */
export class Ledger {
  readonly notifier = new CommitNotifier();
  /** Resolves when nothing can be committed any longer; never, if all goes well. */
  readonly failed: Promise<LedgerError>;
  #announceFailure: (error: LedgerError) => void = () => undefined;
  readonly #database: Database;
  readonly #files: BlockFiles;
  #savepoint: Savepoint;
  #failure: LedgerError | undefined;

  private constructor(database: Database, files: BlockFiles, savepoint: Savepoint) {
    this.#database = database;
    this.#files = files;
    this.#savepoint = savepoint;
    this.failed = new Promise((resolve) => {
      this.#announceFailure = resolve;
    });
  }

  /**
   * Opens the ledger in `directory`, or an empty one. Blocks that are on disk but not yet in the store are applied; a
   * block that was not written to its end is dropped: nobody was told that it is committed.
   * @throws LedgerError DATA_LOSS where blocks do not follow each other, or where committed ones are missing.
   */
  static async open(directory: string, log: Log): Promise<Ledger> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const database: Database = new ClassicLevel<Buffer, Buffer>(join(directory, 'state'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    });
    await database.open();
    const saved = database.getSync(SAVEPOINT_KEY);
    const savepoint = saved === undefined ? EMPTY : (JSON.parse(saved.toString()) as Savepoint);
    const files = await BlockFiles.open(join(directory, 'blocks'), savepoint.end);
    const ledger = new Ledger(database, files, savepoint);
    try {
      await ledger.#recover(log);
    } catch (error) {
      await ledger.close();
      throw error;
    }
    return ledger;
  }

  /** Number of blocks. */
  get height(): number {
    return this.#savepoint.height;
  }

  /** Header hash of the last block; empty before block 0. */
  get lastHeaderHash(): Buffer {
    return Buffer.from(this.#savepoint.headerHash, 'hex');
  }

  /** World state as of the last block. Close it. */
  snapshot(): StateSnapshot {
    return new StateSnapshot(this.#database);
  }

  /** Where and with which code a transaction was committed. */
  transaction(id: string): TransactionRecord | undefined {
    const bytes = this.#database.getSync(transactionKey(id));
    return bytes === undefined ? undefined : decodeTransactionRecord(bytes);
  }

  /**
   * Waits for a transaction to be committed.
   * @returns undefined where the signal aborted first.
   * @throws LedgerError LEDGER_FAILED where nothing can be committed any longer.
   */
  async waitForTransaction(id: string, signal: AbortSignal): Promise<TransactionRecord | undefined> {
    const known = this.transaction(id);
    if (known !== undefined) {
      return known;
    }
    if (this.#failure === undefined) {
      await this.notifier.transaction(id, signal);
    }
    const found = this.transaction(id);
    if (found === undefined && this.#failure !== undefined && !signal.aborted) {
      throw this.#failure;
    }
    return found;
  }

  /**
   * Reads a block and compares its bytes with the hash taken when it was committed.
   * @throws LedgerError BLOCK_NOT_FOUND, or DATA_LOSS naming the block.
   */
  async block(number: number): Promise<common.Block> {
    const entry = this.#location(number);
    const content = await this.#files.read(entry);
    if (sha256(content).toString('hex') !== entry.sha256) {
      throw new LedgerError(
        'DATA_LOSS',
        `block ${String(number)} is not what was committed: its bytes in the block file have changed`,
      );
    }
    return common.Block.deserializeBinary(content);
  }

  /**
   * Appends the next block, whose validation flags are set, and applies its transactions. Calls must not overlap.
   * @throws LedgerError LEDGER_FAILED, then and for every later call, where a write fails.
   */
  async commit(block: common.Block, transactions: readonly CommittedTransaction[]): Promise<void> {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    try {
      const header = required(block.getHeader(), 'block header');
      if (header.getNumber() !== this.height) {
        throw new Error(`block ${String(header.getNumber())} does not follow at height ${String(this.height)}`);
      }
      const hash = this.#commitHash(block, transactions);
      if (hash.length > 0) {
        const metadata = new common.Metadata();
        metadata.setValue(hash);
        setBlockMetadata(block, BLOCK_METADATA.commitHash, metadata.serializeBinary());
      }
      const bytes = block.serializeBinary();
      const location = await this.#files.append(bytes);
      await this.#apply(block, bytes, location, transactions, hash);
    } catch (cause) {
      throw this.fail(cause);
    }
    this.notifier.notify(transactions.map(({ id }) => id));
  }

  /** Says that nothing can be committed any longer, to those who wait and to those who ask later. @returns the error. */
  fail(cause: unknown): LedgerError {
    if (this.#failure === undefined) {
      this.#failure = new LedgerError('LEDGER_FAILED', 'a block could not be committed; start the network again', {
        cause,
      });
      this.#announceFailure(this.#failure);
      this.notifier.notifyAll();
    }
    return this.#failure;
  }

  async close(): Promise<void> {
    await closeAll([() => this.#files.close(), () => this.#database.close()]);
  }

  #location(number: number): BlockIndexEntry {
    const bytes = this.#database.getSync(blockKey(number));
    if (bytes === undefined) {
      throw new LedgerError('BLOCK_NOT_FOUND', `no block ${String(number)}`);
    }
    return JSON.parse(bytes.toString()) as BlockIndexEntry;
  }

  async #apply(
    block: common.Block,
    bytes: Uint8Array,
    location: BlockLocation,
    transactions: readonly CommittedTransaction[],
    hash: Buffer,
  ): Promise<void> {
    const header = required(block.getHeader(), 'block header');
    const entry: BlockIndexEntry = { ...location, sha256: sha256(bytes).toString('hex') };
    const savepoint: Savepoint = {
      height: header.getNumber() + 1,
      headerHash: blockHeaderHash(header).toString('hex'),
      commitHash: hash.toString('hex'),
      end: this.#endAfter(location),
    };
    await this.#database.batch(
      [
        ...stateOperations(header.getNumber(), transactions),
        { type: 'put', key: blockKey(header.getNumber()), value: Buffer.from(JSON.stringify(entry)) },
        { type: 'put', key: SAVEPOINT_KEY, value: Buffer.from(JSON.stringify(savepoint)) },
      ],
      { sync: true },
    );
    this.#savepoint = savepoint;
  }

  /** Empty for block 0, which has none. */
  #commitHash(block: common.Block, transactions: readonly CommittedTransaction[]): Buffer {
    const number = required(block.getHeader(), 'block header').getNumber();
    const flags = getBlockMetadata(block, BLOCK_METADATA.transactionsFilter);
    const previous = Buffer.from(this.#savepoint.commitHash, 'hex');
    return number === 0 ? Buffer.alloc(0) : commitHash(previous, flags, number, transactions);
  }

  #endAfter(location: BlockLocation): Savepoint['end'] {
    return { file: location.file, offset: location.offset + location.length };
  }

  async #recover(log: Log): Promise<void> {
    await this.#requireCommitted();
    // Without a savepoint every block file is someone's committed chain: then nothing but a torn block 0 is dropped.
    const isRebuild = this.height === 0;
    for await (const frame of this.#files.scan()) {
      const number = this.height;
      const problem = this.#problemOf(frame);
      if (problem !== undefined) {
        if (isRebuild || !frame.last) {
          throw new LedgerError('DATA_LOSS', `block ${String(number)} ${problem}`);
        }
        break;
      }
      const block = common.Block.deserializeBinary(frame.bytes);
      const transactions = readTransactions(block);
      const hash = this.#commitHash(block, transactions);
      await this.#apply(block, frame.bytes, frame.location, transactions, hash);
      log('info', 'applied a block that was written before the network stopped', { block: number });
    }
    if (isRebuild && this.#savepoint.height > 0 && (await this.#files.hasMore())) {
      const last = String(this.height - 1);
      throw new LedgerError('DATA_LOSS', `what follows block ${last} in the block files cannot be read`);
    }
    const removed = await this.#files.truncate();
    if (removed > 0) {
      log('warn', 'dropped an incomplete block at the end of the block file', { bytes: removed });
    }
  }

  /** Appending after the end of a file that was cut would leave a hole for ever. */
  async #requireCommitted(): Promise<void> {
    let missing: string | undefined;
    for (let number = this.height - 1; number >= 0; number -= 1) {
      const location = this.#location(number);
      if (await this.#files.contains(location)) {
        break;
      }
      missing = `block ${String(number)}`;
    }
    if (missing !== undefined) {
      throw new LedgerError(
        'DATA_LOSS',
        `${missing} was committed and is no longer whole in the block files: a file was cut or removed`,
      );
    }
  }

  #problemOf(frame: ScannedFrame): string | undefined {
    try {
      const block = common.Block.deserializeBinary(frame.bytes);
      const header = required(block.getHeader(), 'block header');
      const data = block.getData()?.getDataList_asU8() ?? [];
      if (header.getNumber() !== this.height) {
        return `is numbered ${String(header.getNumber())}`;
      }
      if (!this.lastHeaderHash.equals(header.getPreviousHash_asU8())) {
        return 'does not refer to the block before it';
      }
      if (!blockDataHash(data).equals(header.getDataHash_asU8())) {
        return 'holds other transactions than its header says';
      }
      const hash = common.Metadata.deserializeBinary(
        getBlockMetadata(block, BLOCK_METADATA.commitHash),
      ).getValue_asU8();
      if (!this.#commitHash(block, readTransactions(block)).equals(hash)) {
        return 'holds other validation results than its commit hash says';
      }
      return undefined;
    } catch (error) {
      return `cannot be read: ${String(error)}`;
    }
  }
}

function stateOperations(blockNumber: number, transactions: readonly CommittedTransaction[]): Operation[] {
  const operations: Operation[] = [];
  const valid = new Set(transactions.filter(({ code }) => code === peer.TxValidationCode.VALID).map(({ id }) => id));
  transactions.forEach((transaction, index) => {
    const version = { block: blockNumber, transaction: index };
    for (const { namespace, key, value } of transaction.writes) {
      operations.push(
        value === undefined
          ? { type: 'del', key: stateKey(namespace, key) }
          : { type: 'put', key: stateKey(namespace, key), value: encodeStateValue(version, value) },
        {
          type: 'put',
          key: historyKey(historyPrefix(namespace, key), version),
          value: encodeHistory({
            transactionId: transaction.id,
            timestamp: transaction.timestamp,
            isDelete: value === undefined,
            value: Buffer.from(value ?? []),
          }),
        },
      );
    }
    // An invalid transaction of the same block and id must not hide the one that is valid.
    const isHidden = valid.has(transaction.id) && transaction.code !== peer.TxValidationCode.VALID;
    if (transaction.id !== '' && isIndexed(transaction.code) && !isHidden) {
      operations.push({
        type: 'put',
        key: transactionKey(transaction.id),
        value: encodeTransactionRecord({ ...version, code: transaction.code }),
      });
    }
  });
  return operations;
}
