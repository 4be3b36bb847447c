// SPDX-License-Identifier: Apache-2.0
import { ledger, type peer } from '@hyperledger/fabric-protos';
import timestampProto from 'google-protobuf/google/protobuf/timestamp_pb.js';
import type { Collections } from '../chaincode/collections.js';
import { hashSpace, privateSpace, type Version, type VersionedValue } from '../ledger/keys.js';
import {
  decodeMetadata,
  sameVersion,
  type HistoryEntry,
  type StateEntry,
  type StateIterator,
  type StateReader,
} from '../ledger/state.js';
import { decodePolicy, type PolicyRule } from '../signature-policy.js';
import { OpenQueries, type Page } from './queries.js';
import { RangeQueryRecorder } from './rangequery.js';
import { keyHash, ReadWriteSetBuilder, type Metadata, type SimulationResults } from './rwset.js';

/** On whose peer, for whom and with which collections a transaction is simulated. */
export interface SimulationContext {
  readonly channel: string;
  readonly chaincode: string;
  readonly transactionId: string;
  /** Organisation of the peer: its private data is all that is seen. */
  readonly mspId: string;
  readonly collections: Collections;
  /** Whether the creator of the transaction satisfies a policy. */
  readonly isCreatorIn: (policy: PolicyRule) => boolean;
}

/** Which policies a transaction's endorsements must satisfy, as far as a peer's simulation tells. */
export interface EndorsementInterest {
  readonly needsChaincodePolicy: boolean;
  readonly keyPolicies: readonly PolicyRule[];
  /** Collections whose policy is needed, and whether private data was read from them. */
  readonly collections: ReadonlyMap<string, { readonly isRead: boolean }>;
}

const VALIDATION_PARAMETER = 'VALIDATION_PARAMETER';

/**
 * One simulation of a transaction: reads come from one snapshot and never see the transaction's own writes; reads,
 * writes and ranges are recorded for validation. A `collection` is the empty string for public state; errors are
 * worded as a Fabric peer words them.
 */
export class TransactionSimulator {
  readonly queries = new OpenQueries();
  readonly #state: StateReader;
  readonly #context: SimulationContext;
  readonly #rwset: ReadWriteSetBuilder;
  readonly #keyPolicies: PolicyRule[] = [];
  readonly #collections = new Map<string, { isRead: boolean }>();
  #needsChaincodePolicy = false;
  #isWriter = false;
  /** Why nothing may be written any longer. */
  #readOnly: string | undefined;

  constructor(state: StateReader, context: SimulationContext) {
    this.#state = state;
    this.#context = context;
    this.#rwset = new ReadWriteSetBuilder(context.chaincode);
  }

  getState(collection: string, key: string): Uint8Array | undefined {
    if (collection !== '') {
      return this.#getPrivate(collection, key);
    }
    const found = this.#state.get(this.#context.chaincode, key);
    this.#rwset.of('').addRead(key, found?.version);
    return found?.value;
  }

  getPrivateDataHash(collection: string, key: string): Uint8Array | undefined {
    this.#requireDefined(collection);
    return this.#readHash(collection, key)?.value;
  }

  putState(collection: string, key: string, value: Uint8Array): void {
    this.#requireWritable(collection, key);
    this.#rwset.of(collection).addWrite(key, value);
  }

  deleteState(collection: string, key: string): void {
    this.putState(collection, key, new Uint8Array());
  }

  purgePrivateData(collection: string, key: string): void {
    if (collection === '') {
      throw new Error('only applicable for private data');
    }
    this.#requireWritable(collection, key);
    this.#rwset.of(collection).addWrite(key, new Uint8Array(), true);
  }

  getMetadata(collection: string, key: string): Metadata {
    if (collection === '') {
      this.getState('', key);
    } else {
      this.#requireAccess(collection, 'read');
      this.#readHash(collection, key);
    }
    return this.#metadata(collection, key);
  }

  putMetadata(collection: string, key: string, metadata: Metadata): void {
    this.#requireWritable(collection, key);
    this.#rwset.of(collection).addMetadataWrite(key, metadata);
  }

  /** Opens a range query and answers its first batch, or, with a page, exactly that page. */
  getStateByRange(collection: string, start: string, end: string, page?: Page): Promise<peer.QueryResponse> {
    const { chaincode, mspId } = this.#context;
    if (collection !== '') {
      this.#requireAccess(collection, 'read');
      this.#becomeReader('Queries on pvt data is', 'queries on pvt data');
      const found = this.#state.range(privateSpace(mspId, chaincode, collection), start, end);
      return this.queries.start(mapped(found, (entry) => keyValueBytes(chaincode, entry)));
    }
    if (page !== undefined) {
      this.#becomeReader('Paginated queries are', 'a paginated query');
    }
    const startKey = page === undefined || page.bookmark === '' ? start : page.bookmark;
    const iterator = this.#state.range(chaincode, startKey, end);
    const recorder = new RangeQueryRecorder(startKey, end);
    this.#rwset.addRangeQuery(recorder);
    const results = {
      next: async (): Promise<Uint8Array | undefined> => {
        const entry = await iterator.next();
        if (entry === undefined) {
          recorder.exhausted();
          return undefined;
        }
        recorder.add(entry.key, entry.version);
        return keyValueBytes(chaincode, entry);
      },
      close: () => iterator.close(),
    };
    return page === undefined
      ? this.queries.start(results)
      : this.queries.page(results, page.size, async () => (await iterator.next())?.key ?? '');
  }

  getHistoryForKey(key: string): Promise<peer.QueryResponse> {
    return this.queries.start(mapped(this.#state.history(this.#context.chaincode, key), keyModificationBytes));
  }

  /** Closes what is open and answers what was done. Call it once. */
  async finish(): Promise<SimulationResults & { interest: EndorsementInterest }> {
    await this.discard();
    const interest = {
      // Without any write it is the chaincode's policy that counts.
      needsChaincodePolicy: this.#needsChaincodePolicy || !this.#isWriter,
      keyPolicies: this.#keyPolicies,
      collections: this.#collections,
    };
    return { ...this.#rwset.build(), interest };
  }

  /** Closes what is open. */
  discard(): Promise<void> {
    return this.queries.closeAll();
  }

  #getPrivate(collection: string, key: string): Uint8Array | undefined {
    this.#requireAccess(collection, 'read');
    const { chaincode, mspId } = this.#context;
    const found = this.#state.get(privateSpace(mspId, chaincode, collection), key);
    const hash = this.#state.get(hashSpace(chaincode, collection), keyHash(key).toString('base64'));
    if (!sameVersion(found?.version, hash?.version)) {
      throw new Error(
        'private data matching public hash version is not available. ' +
          `Public hash version = ${height(hash?.version)}, Private data version = ${height(found?.version)}`,
      );
    }
    this.#rwset.of(collection).addRead(key, found?.version);
    this.#collections.set(collection, { isRead: true });
    return found?.value;
  }

  #readHash(collection: string, key: string): VersionedValue | undefined {
    const found = this.#state.get(hashSpace(this.#context.chaincode, collection), keyHash(key).toString('base64'));
    this.#rwset.of(collection).addRead(key, found?.version);
    return found;
  }

  #metadata(collection: string, key: string): Metadata {
    const name = collection === '' ? key : keyHash(key).toString('base64');
    return decodeMetadata(this.#state.metadata(hashSpace(this.#context.chaincode, collection), name));
  }

  #requireDefined(collection: string): void {
    const { chaincode, collections } = this.#context;
    if (collections.find(chaincode, collection) === undefined) {
      throw new Error(`collection [${collection}] not defined in the collection config for chaincode [${chaincode}]`);
    }
  }

  #requireAccess(collection: string, access: 'read' | 'write'): void {
    const { channel, chaincode, collections, isCreatorIn } = this.#context;
    const found = collections.find(chaincode, collection);
    if (found === undefined) {
      throw new Error(`collection ${channel}/${chaincode}/${collection} could not be found`);
    }
    const isForMembers = access === 'read' ? found.memberOnlyRead : found.memberOnlyWrite;
    if (isForMembers && !isCreatorIn(found.policy)) {
      throw new Error(
        `tx creator does not have ${access} access permission on privatedata in ` +
          `chaincodeName:${chaincode} collectionName: ${collection}`,
      );
    }
  }

  /** Checks that a key may be written, and notes whose endorsement that takes. */
  #requireWritable(collection: string, key: string): void {
    if (collection !== '') {
      this.#requireAccess(collection, 'write');
    }
    if (this.#readOnly !== undefined) {
      throw new Error(
        `${this.#unsupported} Transaction has already performed ${this.#readOnly}. Writes are not allowed`,
      );
    }
    this.#isWriter = true;
    const policy = this.#metadata(collection, key).get(VALIDATION_PARAMETER);
    if (policy !== undefined && policy.length > 0) {
      this.#keyPolicies.push(decodePolicy(policy));
    } else if (collection === '') {
      this.#needsChaincodePolicy = true;
    } else if (!this.#collections.has(collection)) {
      this.#collections.set(collection, { isRead: false });
    }
  }

  #becomeReader(these: string, did: string): void {
    if (this.#isWriter) {
      throw new Error(`${this.#unsupported} ${these} supported only in a read-only transaction`);
    }
    this.#readOnly = did;
  }

  /** Spelt as a Fabric peer spells it. */
  get #unsupported(): string {
    return `txid [${this.#context.transactionId}]: unsuppored transaction.`;
  }
}

/** A version as Go prints it. */
function height(version: Version | undefined): string {
  return version === undefined
    ? '<nil>'
    : `{BlockNum: ${String(version.block)}, TxNum: ${String(version.transaction)}}`;
}

/** The same results in another form. */
function mapped<T, R>(results: StateIterator<T>, form: (result: T) => R): StateIterator<R> {
  return {
    next: async () => {
      const result = await results.next();
      return result === undefined ? undefined : form(result);
    },
    close: () => results.close(),
  };
}

function keyValueBytes(namespace: string, entry: StateEntry): Uint8Array {
  const result = new ledger.queryresult.KV();
  result.setNamespace(namespace);
  result.setKey(entry.key);
  result.setValue(entry.value);
  return result.serializeBinary();
}

function keyModificationBytes(entry: HistoryEntry): Uint8Array {
  const timestamp = new timestampProto.Timestamp();
  timestamp.setSeconds(entry.timestamp.seconds);
  timestamp.setNanos(entry.timestamp.nanos);
  const result = new ledger.queryresult.KeyModification();
  result.setTxId(entry.transactionId);
  result.setValue(entry.value);
  result.setIsDelete(entry.isDelete);
  result.setTimestamp(timestamp);
  return result.serializeBinary();
}
