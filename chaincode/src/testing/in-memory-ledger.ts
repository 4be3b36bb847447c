// SPDX-License-Identifier: Apache-2.0
import type { ChaincodeStub, Iterators } from 'fabric-shim-api';

/** One committed version of a key. */
interface Version {
  readonly txId: string;
  readonly timestampMs: number;
  readonly number: number;
  readonly value: Buffer | undefined;
}

/** What a client proposes: who, when, what. */
export interface Proposal {
  readonly txId: string;
  readonly nowMs: number;
  readonly mspId: string;
  readonly certificatePem: string;
  readonly args: readonly string[];
}

export type ValidationCode = 'VALID' | 'MVCC_READ_CONFLICT' | 'PHANTOM_READ_CONFLICT';

const LAST_RUNE = '\u{10ffff}';

/** World state with Fabric's versions and history, in memory. */
export class InMemoryLedger {
  readonly #versions = new Map<string, Version[]>();
  #height = 0;

  simulate(proposal: Proposal): InMemoryStub {
    return new InMemoryStub(this, proposal);
  }

  /** Validates what a simulation read against the state now, and applies what it wrote. */
  commit(stub: InMemoryStub): ValidationCode {
    for (const [key, version] of stub.reads) {
      if (this.version(key) !== version) {
        return 'MVCC_READ_CONFLICT';
      }
    }
    for (const { start, end, seen } of stub.ranges) {
      if (this.#fingerprint(start, end) !== seen) {
        return 'PHANTOM_READ_CONFLICT';
      }
    }
    this.#height += 1;
    const { txId, nowMs } = stub.proposal;
    for (const [key, value] of stub.writes) {
      const versions = this.#versions.get(key) ?? [];
      versions.push({ txId, timestampMs: nowMs, number: this.#height, value });
      this.#versions.set(key, versions);
    }
    return 'VALID';
  }

  /** Takes over state that was written before. */
  load(state: Readonly<Record<string, string>>, timestampMs: number): void {
    this.#height += 1;
    for (const [key, value] of Object.entries(state)) {
      this.#versions.set(key, [{ txId: 'before', timestampMs, number: this.#height, value: Buffer.from(value) }]);
    }
  }

  get(key: string): Buffer | undefined {
    return this.#versions.get(key)?.at(-1)?.value;
  }

  version(key: string): number {
    const last = this.#versions.get(key)?.at(-1);
    return last?.value === undefined ? 0 : last.number;
  }

  /** Newest first, as Fabric answers. */
  history(key: string): Version[] {
    return [...(this.#versions.get(key) ?? [])].reverse();
  }

  range(start: string, end: string): string[] {
    const inside = [...this.#versions.keys()].filter((key) => key >= start && key < end && this.version(key) > 0);
    return inside.sort();
  }

  noteRange(start: string, end: string): { start: string; end: string; seen: string } {
    return { start, end, seen: this.#fingerprint(start, end) };
  }

  #fingerprint(start: string, end: string): string {
    return JSON.stringify(this.range(start, end).map((key) => [key, this.version(key)]));
  }
}

/** The part of a ChaincodeStub that contracts here use. As on Fabric, a read never sees an own write. */
export class InMemoryStub {
  readonly proposal: Proposal;
  readonly reads = new Map<string, number>();
  readonly writes = new Map<string, Buffer | undefined>();
  readonly ranges: { start: string; end: string; seen: string }[] = [];
  event: { name: string; payload: Buffer } | undefined;
  readonly #ledger: InMemoryLedger;

  constructor(ledger: InMemoryLedger, proposal: Proposal) {
    this.#ledger = ledger;
    this.proposal = proposal;
  }

  asStub(): ChaincodeStub {
    return this as unknown as ChaincodeStub;
  }

  /** The write set in a form that can be compared byte for byte. */
  writeSet(): string {
    const rows = [...this.writes].map(([key, value]) => [key, value?.toString('hex') ?? null]);
    return JSON.stringify(rows.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)));
  }

  getTxID = (): string => this.proposal.txId;
  getChannelID = (): string => 'test';
  getCreator = () => ({ mspid: this.proposal.mspId, idBytes: Buffer.from(this.proposal.certificatePem) });
  getDateTimestamp = (): Date => new Date(this.proposal.nowMs);
  getBufferArgs = (): Buffer[] => this.proposal.args.map((arg) => Buffer.from(arg));
  getFunctionAndParameters = () => ({ fcn: this.proposal.args[0] ?? '', params: this.proposal.args.slice(1) });

  setEvent(name: string, payload: Uint8Array): void {
    this.event = { name, payload: Buffer.from(payload) };
  }

  getState(key: string): Promise<Uint8Array> {
    this.reads.set(key, this.#ledger.version(key));
    return Promise.resolve(this.#ledger.get(key) ?? Buffer.alloc(0));
  }

  putState(key: string, value: Uint8Array): Promise<void> {
    this.writes.set(key, Buffer.from(value));
    return Promise.resolve();
  }

  deleteState(key: string): Promise<void> {
    this.writes.set(key, undefined);
    return Promise.resolve();
  }

  createCompositeKey(objectType: string, attributes: readonly string[]): string {
    const parts = [objectType, ...attributes];
    if (parts.some((part) => part === '' || part.includes('\0') || part.includes(LAST_RUNE))) {
      throw new Error('object type or attribute is empty or holds a delimiter');
    }
    return `\0${parts.map((part) => `${part}\0`).join('')}`;
  }

  async *getStateByPartialCompositeKey(objectType: string, attributes: readonly string[]) {
    const start = this.createCompositeKey(objectType, attributes);
    this.ranges.push(this.#ledger.noteRange(start, start + LAST_RUNE));
    for (const key of this.#ledger.range(start, start + LAST_RUNE)) {
      yield await Promise.resolve({ namespace: 'test', key, value: this.#ledger.get(key) ?? Buffer.alloc(0) });
    }
  }

  getStateByPartialCompositeKeyWithPagination(
    objectType: string,
    attributes: readonly string[],
    pageSize: number,
    bookmark = '',
  ) {
    const prefix = this.createCompositeKey(objectType, attributes);
    const keys = this.#ledger.range(bookmark === '' ? prefix : bookmark, prefix + LAST_RUNE);
    const page = keys.slice(0, pageSize).map((key) => ({ namespace: 'test', key, value: this.#ledger.get(key) }));
    const metadata = { fetchedRecordsCount: page.length, bookmark: keys[pageSize] ?? '' };
    return Promise.resolve({ iterator: iteratorOver(page), metadata });
  }

  getHistoryForKey(key: string) {
    const versions = this.#ledger.history(key).map(({ txId, timestampMs, value }) => ({
      txId,
      isDelete: value === undefined,
      value: value ?? Buffer.alloc(0),
      timestamp: { seconds: Math.floor(timestampMs / 1000), nanos: (timestampMs % 1000) * 1_000_000 },
    }));
    return Promise.resolve(iteratorOver(versions));
  }
}

function iteratorOver<T>(items: readonly T[]): Iterators.CommonIterator<T | undefined> {
  let next = 0;
  return {
    next: () => {
      const value = items[next];
      next += 1;
      return Promise.resolve({ value, done: value === undefined });
    },
    close: () => Promise.resolve(),
  };
}
