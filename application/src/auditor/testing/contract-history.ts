// SPDX-License-Identifier: Apache-2.0
import { hashOf } from '@sev/chaincode/api';
import { GRID, TestConsortium, type Simulated } from '@sev/chaincode/testing';
import type { DomainTransaction } from '../domain-context.js';
import { DomainReplay, type ReplacedValue } from '../domain-replay.js';
import { newAuditCounts } from '../failure.js';

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
