// SPDX-License-Identifier: Apache-2.0
import { hashOf } from '@sev/chaincode/api';
import { GRID, TestConsortium, type Simulated } from '@sev/chaincode/testing';
import { expect } from 'chai';
import type { DomainTransaction } from '../../auditor/domain-context.js';
import { DomainReplay, type ReplacedValue } from '../../auditor/domain-replay.js';
import { AuditError, newAuditCounts, type AuditCode } from '../../auditor/failure.js';

/** A record on the ledger, or a request. */
export type Document = Readonly<Record<string, unknown>>;

/** A transaction as the audit of a domain takes it. */
export interface Recorded {
  readonly transaction: DomainTransaction;
  readonly values: readonly ReplacedValue[];
}

/** A consortium whose contracts run for real, and which keeps what every valid transaction asked for and wrote. */
export class RecordedConsortium extends TestConsortium {
  readonly history: Recorded[] = [];

  static async begun(): Promise<RecordedConsortium> {
    const consortium = new RecordedConsortium();
    const content = consortium.bootstrapContent();
    await consortium.submit('governance:Bootstrap', content, GRID, 'operator');
    consortium.bootstrapHash = hashOf(content);
    return consortium;
  }

  override commit(simulated: Simulated): ReturnType<TestConsortium['commit']> {
    const { proposal, writes } = simulated.stub;
    const values = [...writes].map(([key, value]) => ({
      ...{ key, isDelete: value === undefined, value: value ?? new Uint8Array() },
      before: this.ledger.get(key),
    }));
    const code = super.commit(simulated);
    if (code === 'VALID') {
      const [name = '', argument = ''] = proposal.args;
      const blockNumber = this.history.length + 1;
      const transaction: DomainTransaction = {
        ...{ where: `block ${String(blockNumber)}, transaction 0`, blockNumber, txId: proposal.txId },
        ...{ name, argument: JSON.parse(argument) as unknown, creatorMspId: proposal.mspId },
        ...{ creatorKey: { publicKey: '', notAfterMs: 0 }, timestampMs: proposal.nowMs },
      };
      this.history.push({ transaction, values });
    }
    return code;
  }
}

/** Audits a history. @returns what is remembered at its end. @throws AuditError at the first thing that does not hold. */
export function replayed(history: readonly Recorded[]): DomainReplay {
  const replay = new DomainReplay(newAuditCounts());
  history.forEach(({ transaction, values }) => {
    replay.apply(transaction, values);
  });
  return replay;
}

/** What an audit finds in a history: the failure and the block of the transaction. */
export function failureOf(
  records: readonly Recorded[],
): { readonly code: AuditCode; readonly block: number } | undefined {
  try {
    replayed(records);
    return undefined;
  } catch (error) {
    expect(error).to.be.instanceOf(AuditError);
    const { code, where } = (error as AuditError).failure;
    return { code, block: Number(/^block (\d+)/.exec(where)?.[1]) };
  }
}

/** The record that a transaction wrote. */
export function documentOf(value: Uint8Array): Document {
  return JSON.parse(Buffer.from(value).toString()) as Document;
}

/** The history with other writes in one transaction; `forge` gives undefined for a record that is left out. */
export function forged(
  history: readonly Recorded[],
  index: number,
  forge: (record: Document, key: string) => Document | undefined,
): readonly Recorded[] {
  return history.slice(0, index + 1).map((recorded, i) => {
    const values = recorded.values.flatMap((value) => {
      const record = forge(documentOf(value.value), value.key);
      return record === undefined ? [] : [{ ...value, value: Buffer.from(JSON.stringify(record)) }];
    });
    return i === index ? { ...recorded, values } : recorded;
  });
}

/** The same with one more write. */
export function withExtra(history: readonly Recorded[], index: number, record: Document): readonly Recorded[] {
  const extra = { key: 'forged', isDelete: false, value: Buffer.from(JSON.stringify(record)), before: undefined };
  return history.map((recorded, i) => (i === index ? { ...recorded, values: [...recorded.values, extra] } : recorded));
}

/** Other values of a field, of a form that the record may have. */
export function changedField(value: unknown): unknown {
  if (typeof value === 'number') {
    return value + 1;
  }
  if (typeof value === 'boolean') {
    return !value;
  }
  if (typeof value === 'string') {
    return /^[0-9a-f]{64}$/.test(value) ? 'f'.repeat(64) : `${value}x`;
  }
  return Array.isArray(value) ? value.slice(1) : { ...(value as Document), round: 9, vectors: [] };
}
