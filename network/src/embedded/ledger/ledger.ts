// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { common } from '@hyperledger/fabric-protos';
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
import { Collections } from '../chaincode/collections.js';
import { closeAll } from '../../closing.js';
import { BlockFiles, type BlockLocation, type ScannedFrame } from './blockfiles.js';
import { commitHash } from './commithash.js';
import { LedgerError } from './errors.js';
import {
  blockKey,
  decodeStateValue,
  decodeTransactionRecord,
  hashSpace,
  SAVEPOINT_KEY,
  stateKey,
  transactionKey,
  type TransactionRecord,
} from './keys.js';
import { CommitNotifier } from './notifier.js';
import { blockOperations } from './operations.js';
import { PrivateData, type PrivateSet } from './privatedata.js';
import { StateSnapshot, type Database } from './state.js';
import { readTransactions, type CommittedTransaction } from './transactions.js';
import { BlockUpdates } from './updates.js';

interface BlockIndexEntry extends BlockLocation {
  readonly sha256: string;
}

/** A block in its file, and what it comes to. */
interface AppliedBlock {
  readonly block: common.Block;
  readonly bytes: Uint8Array;
  readonly location: BlockLocation;
  readonly transactions: readonly CommittedTransaction[];
  readonly updates: BlockUpdates;
  readonly privateSets: readonly PrivateSet[];
  readonly hash: Buffer;
}

/** State of the ledger after its last block. */
interface Savepoint {
  readonly height: number;
  readonly headerHash: string;
  readonly commitHash: string;
  readonly end: { file: number; offset: number };
}

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
  /** What each organisation's peer keeps of private writes. */
  readonly privateData: PrivateData;
  readonly #database: Database;
  readonly #files: BlockFiles;
  readonly #collections: Collections;
  #savepoint: Savepoint;
  #failure: LedgerError | undefined;

  private constructor(
    database: Database,
    files: BlockFiles,
    privateData: PrivateData,
    collections: Collections,
    savepoint: Savepoint,
  ) {
    this.#database = database;
    this.#files = files;
    this.privateData = privateData;
    this.#collections = collections;
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
  static async open(directory: string, log: Log, collections = new Collections([])): Promise<Ledger> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const database: Database = new ClassicLevel<Buffer, Buffer>(join(directory, 'state'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    });
    await database.open();
    const saved = database.getSync(SAVEPOINT_KEY);
    const savepoint = saved === undefined ? EMPTY : (JSON.parse(saved.toString()) as Savepoint);
    const files = await BlockFiles.open(join(directory, 'blocks'), savepoint.end);
    const privateData = await PrivateData.open(join(directory, 'private'), collections, log);
    const ledger = new Ledger(database, files, privateData, collections, savepoint);
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
      const updates = this.#updates(block, transactions);
      const hash = this.#commitHash(block, updates);
      if (hash.length > 0) {
        const metadata = new common.Metadata();
        metadata.setValue(hash);
        setBlockMetadata(block, BLOCK_METADATA.commitHash, metadata.serializeBinary());
      }
      const bytes = block.serializeBinary();
      const privateSets = await this.privateData.stage(header.getNumber(), transactions);
      const location = await this.#files.append(bytes);
      await this.#apply({ block, bytes, location, transactions, updates, privateSets, hash });
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
    await closeAll([() => this.#files.close(), () => this.privateData.close(), () => this.#database.close()]);
  }

  #location(number: number): BlockIndexEntry {
    const bytes = this.#database.getSync(blockKey(number));
    if (bytes === undefined) {
      throw new LedgerError('BLOCK_NOT_FOUND', `no block ${String(number)}`);
    }
    return JSON.parse(bytes.toString()) as BlockIndexEntry;
  }

  async #apply(applied: AppliedBlock): Promise<void> {
    const { block, location, transactions, hash } = applied;
    const header = required(block.getHeader(), 'block header');
    const number = header.getNumber();
    const entry: BlockIndexEntry = { ...location, sha256: sha256(applied.bytes).toString('hex') };
    const savepoint: Savepoint = {
      height: number + 1,
      headerHash: blockHeaderHash(header).toString('hex'),
      commitHash: hash.toString('hex'),
      end: this.#endAfter(location),
    };
    await this.#database.batch(
      [
        ...(await blockOperations(this.#database, this.#collections, { number, ...applied })),
        { type: 'put', key: blockKey(number), value: Buffer.from(JSON.stringify(entry)) },
        { type: 'put', key: SAVEPOINT_KEY, value: Buffer.from(JSON.stringify(savepoint)) },
      ],
      { sync: true },
    );
    this.#savepoint = savepoint;
    await this.privateData.release(number, transactions);
  }

  #updates(block: common.Block, transactions: readonly CommittedTransaction[]): BlockUpdates {
    const number = required(block.getHeader(), 'block header').getNumber();
    const updates = new BlockUpdates(({ namespace, collection, key }) => {
      const bytes = this.#database.getSync(stateKey(hashSpace(namespace, collection), key));
      return bytes && decodeStateValue(bytes).value;
    });
    transactions.forEach(({ writes }, transaction) => {
      updates.write(writes, { block: number, transaction });
    });
    return updates;
  }

  /** Empty for block 0, which has none. */
  #commitHash(block: common.Block, updates: BlockUpdates): Buffer {
    const number = required(block.getHeader(), 'block header').getNumber();
    const flags = getBlockMetadata(block, BLOCK_METADATA.transactionsFilter);
    const previous = Buffer.from(this.#savepoint.commitHash, 'hex');
    return number === 0 ? Buffer.alloc(0) : commitHash(previous, flags, updates);
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
      const { bytes, location } = frame;
      const transactions = readTransactions(block);
      const updates = this.#updates(block, transactions);
      const hash = this.#commitHash(block, updates);
      const privateSets = await this.privateData.stage(number, transactions);
      await this.#apply({ block, bytes, location, transactions, updates, privateSets, hash });
      log('info', 'applied a block that was written before the network stopped', { block: number });
    }
    if (isRebuild && this.#savepoint.height > 0 && (await this.#files.hasMore())) {
      const last = String(this.height - 1);
      throw new LedgerError('DATA_LOSS', `what follows block ${last} in the block files cannot be read`);
    }
    if (this.privateData.isUsed && this.height > 0) {
      // The network may have ended before it let go of what the last block made superfluous, purged data for one.
      await this.privateData.release(this.height - 1, readTransactions(await this.block(this.height - 1)));
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
      if (!this.#commitHash(block, this.#updates(block, readTransactions(block))).equals(hash)) {
        return 'holds other validation results than its commit hash says';
      }
      return undefined;
    } catch (error) {
      return `cannot be read: ${String(error)}`;
    }
  }
}
