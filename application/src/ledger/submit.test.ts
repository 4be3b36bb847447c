// SPDX-License-Identifier: Apache-2.0
import { status as Grpc } from '@grpc/grpc-js';
import { StatusCode } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import fc from 'fast-check';
import { gatewayError } from '../testing/gateway-errors.js';
import { codeOf, rejection } from '../testing/temporary.js';
import { LedgerError } from './errors.js';
import { DEFAULT_RETRY_POLICY } from './retry.js';
import { DEFAULT_TIMEOUTS, evaluateTransaction, submitTransaction, type CallOptions } from './submit.js';

type Answer = 'ok' | Error | number;
const gone = gatewayError(Grpc.UNAVAILABLE, 'No connection established');
const silent = gatewayError(Grpc.DEADLINE_EXCEEDED, 'Deadline exceeded');

/** A gateway that answers from a script and remembers what it was asked. */
class ScriptedGateway {
  readonly asked: string[] = [];
  readonly #script: Record<'endorse' | 'submit' | 'status', Answer[]>;
  #transactions = 0;

  constructor(script: Partial<Record<'endorse' | 'submit' | 'status', Answer[]>>) {
    this.#script = { endorse: [], submit: [], status: [], ...script };
  }

  readonly endorse = async () => {
    this.#answer('endorse', '');
    this.#transactions += 1;
    const transactionId = `tx${this.#transactions}`;
    return Promise.resolve({
      transactionId,
      result: Buffer.from('{}'),
      submit: async () => {
        this.#answer('submit', transactionId);
        return Promise.resolve();
      },
      status: async (timeoutMs: number) => {
        const code = this.#answer('status', `${transactionId} ${timeoutMs}`);
        return Promise.resolve({ code, blockNumber: 7n });
      },
    });
  };

  #answer(step: 'endorse' | 'submit' | 'status', what: string): number {
    this.asked.push(`${step} ${what}`.trim());
    const answer = this.#script[step].shift() ?? 'ok';
    if (answer instanceof Error) {
      throw answer;
    }
    return answer === 'ok' ? StatusCode.VALID : answer;
  }
}

/**
 * A network that loses requests, answers and blocks by chance, until the chances are used up. What was ordered is
 * committed, once for each transaction id, however late that shows.
 */
class ForgetfulLedger {
  readonly valid = new Set<string>();
  readonly #chances: number[];
  readonly #codes = new Map<string, number>();
  #transactions = 0;

  constructor(chances: readonly number[]) {
    this.#chances = [...chances];
  }

  readonly endorse = async () => {
    this.#mayFail();
    const transactionId = `tx${++this.#transactions}`;
    return Promise.resolve({
      transactionId,
      result: Buffer.from('{}'),
      submit: async () => {
        const chance = this.#chances.shift() ?? 0;
        if (chance === 1) {
          throw gone; // lost on the way there
        }
        if (chance !== 2) {
          this.#order(transactionId, chance === 5 ? StatusCode.MVCC_READ_CONFLICT : StatusCode.VALID);
        }
        if (chance === 3) {
          throw silent; // lost on the way back; chance 2: taken and forgotten by an orderer that dies
        }
        return Promise.resolve();
      },
      status: async () => {
        this.#mayFail();
        const code = this.#codes.get(transactionId);
        if (code === undefined) {
          throw silent;
        }
        return Promise.resolve({ code, blockNumber: 7n });
      },
    });
  };

  #order(transactionId: string, code: number): void {
    if (!this.#codes.has(transactionId)) {
      this.#codes.set(transactionId, code);
      if (code === StatusCode.VALID) {
        this.valid.add(transactionId);
      }
    }
  }

  #mayFail(): void {
    const chance = this.#chances.shift() ?? 0;
    if (chance === 1 || chance === 2) {
      throw chance === 1 ? gone : silent;
    }
  }
}

const options: CallOptions = {
  policy: { ...DEFAULT_RETRY_POLICY, backoffMs: 1, maxBackoffMs: 2, reconnectMs: 500 },
  timeouts: { ...DEFAULT_TIMEOUTS, commitStatusMs: 60, probeMs: 3 },
};

describe('submitting a transaction', () => {
  it('endorses, submits and waits once where nothing fails', async () => {
    const gateway = new ScriptedGateway({});
    const done = await submitTransaction(gateway.endorse, options);
    expect(done).to.include({ blockNumber: 7n, attempts: 1 });
    expect(gateway.asked).to.deep.equal(['endorse', 'submit tx1', 'status tx1 60']);
  });

  it('makes a new transaction after a conflict', async () => {
    const gateway = new ScriptedGateway({ status: [StatusCode.MVCC_READ_CONFLICT, StatusCode.PHANTOM_READ_CONFLICT] });
    const done = await submitTransaction(gateway.endorse, options);
    expect(done.attempts).to.equal(3);
    expect(done.transaction.transactionId).to.equal('tx3');
  });

  it('gives conflicts up after 8 transactions', async () => {
    const conflicts = Array.from({ length: 20 }, () => StatusCode.MVCC_READ_CONFLICT);
    const gateway = new ScriptedGateway({ status: conflicts });
    expect(await codeOf(submitTransaction(gateway.endorse, options))).to.equal('LEDGER_CONFLICT');
    expect(gateway.asked.filter((step) => step === 'endorse')).to.have.length(8);
  });

  it('waits for a network that is not there yet', async () => {
    const gateway = new ScriptedGateway({ endorse: [gone, gone, silent] });
    expect((await submitTransaction(gateway.endorse, options)).attempts).to.equal(1);
  });

  it('asks for the status before it sends the same transaction again', async () => {
    const gateway = new ScriptedGateway({ submit: [gone], status: [gone, silent] });
    const done = await submitTransaction(gateway.endorse, options);
    expect(done.attempts).to.equal(1);
    expect(gateway.asked).to.deep.equal([
      'endorse',
      'submit tx1',
      'status tx1 3',
      'status tx1 3',
      'submit tx1',
      'status tx1 60',
    ]);
  });

  it('sends the same transaction again where the network lost it after taking it', async () => {
    const gateway = new ScriptedGateway({ status: [gone, silent] });
    await submitTransaction(gateway.endorse, options);
    expect(gateway.asked.filter((step) => step.startsWith('submit'))).to.deep.equal(['submit tx1', 'submit tx1']);
  });

  it('looks the original up where the status is that of a copy', async () => {
    const gateway = new ScriptedGateway({ status: [StatusCode.DUPLICATE_TXID] });
    const done = await submitTransaction(gateway.endorse, options);
    expect(done.attempts).to.equal(1);
    expect(gateway.asked.filter((step) => step.startsWith('submit'))).to.have.length(1);
  });

  it('waits for the commit of what the orderers say they have already', async () => {
    const detail = 'received unsuccessful response from orderer: info=request already processed';
    const known = gatewayError(Grpc.UNAVAILABLE, 'insufficient number of orderers', [detail]);
    const gateway = new ScriptedGateway({ submit: [known] });
    expect((await submitTransaction(gateway.endorse, options)).attempts).to.equal(1);
    expect(gateway.asked).to.deep.equal(['endorse', 'submit tx1', 'status tx1 60']);
  });

  it('commits once or says that it does not know, whatever gets lost on the way', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5), { maxLength: 40 }), async (chances) => {
        const ledger = new ForgetfulLedger(chances);
        const settled = await submitTransaction(ledger.endorse, options).then(
          ({ transaction }) => transaction.transactionId,
          (error: unknown) => error,
        );
        if (typeof settled === 'string') {
          expect([...ledger.valid]).to.deep.equal([settled]);
        } else {
          expect(settled).to.include({ code: 'LEDGER_CONFLICT' });
          expect(ledger.valid.size).to.equal(0);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('reports an unknown fate with the transaction id, and never a second transaction', async () => {
    const lost = Array.from({ length: 10_000 }, () => gone);
    const gateway = new ScriptedGateway({ submit: [gone], status: lost });
    const error = await rejection(submitTransaction(gateway.endorse, options));
    expect(error).to.be.instanceOf(LedgerError).and.include({ code: 'LEDGER_FATE_UNKNOWN', transactionId: 'tx1' });
    expect(gateway.asked.filter((step) => step === 'endorse')).to.have.length(1);
  });

  it('takes a refusal by the orderer for an answer where nothing was sent before', async () => {
    const gateway = new ScriptedGateway({ submit: [gatewayError(Grpc.ABORTED, 'bad request')] });
    expect(await codeOf(submitTransaction(gateway.endorse, options))).to.equal('LEDGER_FAILED');
  });

  it('reports an invalid transaction with its validation code', async () => {
    const gateway = new ScriptedGateway({ status: [StatusCode.ENDORSEMENT_POLICY_FAILURE] });
    const error = await rejection(submitTransaction(gateway.endorse, options));
    expect(error).to.include({ code: 'LEDGER_COMMIT_FAILED', transactionId: 'tx1' });
    expect(error).to.have.property('message').include('ENDORSEMENT_POLICY_FAILURE');
  });

  it('never repeats a contract error', async () => {
    const refusal = gatewayError(Grpc.ABORTED, 'failed', ['chaincode response 500, ROUND_STALE: round 2']);
    const gateway = new ScriptedGateway({ endorse: [refusal] });
    expect(await codeOf(submitTransaction(gateway.endorse, options))).to.equal('ROUND_STALE');
    expect(gateway.asked).to.deep.equal(['endorse']);
  });

  it('stops where it is interrupted', async () => {
    const before = new ScriptedGateway({});
    const signal = AbortSignal.abort();
    expect(await codeOf(submitTransaction(before.endorse, { ...options, signal }))).to.equal('INTERRUPTED');
    expect(before.asked).to.deep.equal([]);
  });

  it('evaluates again while the network is away, and gives up in time', async () => {
    let calls = 0;
    const twice = () => (++calls <= 2 ? Promise.reject(gone) : Promise.resolve(Buffer.from('1')));
    expect(Buffer.from(await evaluateTransaction(twice, options)).toString()).to.equal('1');
    const never = evaluateTransaction(() => Promise.reject(gone), options);
    expect(await codeOf(never)).to.equal('LEDGER_UNREACHABLE');
  });
});
