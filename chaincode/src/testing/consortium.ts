// SPDX-License-Identifier: Apache-2.0
import './quiet';
import { randomBytes } from 'node:crypto';
import { JSONSerializer } from 'fabric-contract-api';
import ChaincodeFromContract from 'fabric-shim/lib/contract-spi/chaincodefromcontract';
import {
  canonicalJson,
  hashOf,
  parseContractError,
  type Bootstrap,
  type ContractError,
  type LedgerEvent,
  type Organisation,
} from '../api';
import { contracts } from '../index';
import { identity, signingKey, type Identity, type SigningKey } from './identities';
import { InMemoryLedger, type InMemoryStub, type ValidationCode } from './in-memory-ledger';

export const GRID = 'GridOperatorMSP';
export const MAKER = 'ManufacturerMSP';
export const CITY = 'CityMSP';
export const REGULATOR = 'RegulatorMSP';
export const MSPS = [GRID, MAKER, CITY, REGULATOR] as const;

/** A time in the middle of a rate window. */
export const START_MS = 1_800_000_000_000;

/** What a simulation came to, before it is ordered. */
export interface Simulated {
  readonly stub: InMemoryStub;
  readonly result: unknown;
  readonly error: ContractError | undefined;
  readonly message: string;
  readonly event: LedgerEvent | undefined;
}

/** The contracts behind the shim's own dispatcher, on an in-memory ledger, with a consortium of four organisations. */
export class TestConsortium {
  readonly ledger = new InMemoryLedger();
  readonly signingKeys = new Map<string, SigningKey>(MSPS.map((mspId) => [mspId, signingKey()]));
  readonly makerKey = signingKey();
  nowMs = START_MS;
  /** What statements name the network by. */
  bootstrapHash = '';
  readonly #chaincode = new ChaincodeFromContract([...contracts], {
    transaction: 'json',
    serializers: { json: JSONSerializer },
  });

  static async bootstrapped(
    policy: Partial<Bootstrap['policy']> = {},
    as: (member: Organisation) => Organisation = (member) => member,
  ): Promise<TestConsortium> {
    const consortium = new TestConsortium();
    const { organisations, ...rest } = consortium.bootstrapContent(policy);
    const content = { organisations: organisations.map(as), ...rest };
    await consortium.submit('governance:Bootstrap', content, GRID, 'operator');
    consortium.bootstrapHash = hashOf(content);
    return consortium;
  }

  /** One in which nobody may settle disputes. */
  static withoutAuditor(): Promise<TestConsortium> {
    return TestConsortium.bootstrapped({}, (member) => ({
      ...member,
      roles: member.roles.filter((role) => role !== 'auditor'),
    }));
  }

  bootstrapContent(policy: Partial<Bootstrap['policy']> = {}): Bootstrap {
    return {
      organisations: MSPS.map((mspId) => this.organisation(mspId)),
      makers: [{ makerKeyId: 'maker-1', mspId: MAKER, publicKey: this.makerKey.publicKey }],
      policy: { vehicleQuota: 1_000, enrollmentsPerWindow: 1_000, enrollmentWindowMs: 3_600_000, ...policy },
    };
  }

  organisation(mspId: string): Organisation {
    const names: Record<string, string> = {
      [GRID]: 'grid',
      [MAKER]: 'maker',
      [CITY]: 'city',
      [REGULATOR]: 'regulator',
    };
    const common = ['operator', 'registrar', 'attester', 'vehicle'] as const;
    return {
      name: names[mspId] ?? 'other',
      mspId,
      signingKey: this.signingKeys.get(mspId)?.publicKey ?? '',
      roles: mspId === REGULATOR ? ['operator', 'attester', 'auditor'] : [...common, 'coordinator', 'aggregator'],
    };
  }

  /** The names that the shim dispatches to, its own contract aside. */
  transactions(): string[] {
    const { 'org.hyperledger.fabric': _system, ...own } = this.#chaincode.metadata.contracts;
    return Object.entries(own).flatMap(([name, { transactions }]) => transactions.map((t) => `${name}:${t.name}`));
  }

  /** Simulates a call, as a peer would endorse it; nothing is written. */
  async simulate(transaction: string, argument: unknown, caller: Identity, txId = newTxId()): Promise<Simulated> {
    const text = typeof argument === 'string' ? argument : canonicalJson(argument);
    const stub = this.ledger.simulate({ txId, nowMs: this.nowMs, ...caller, args: [transaction, text] });
    const response = await this.#chaincode.Invoke(stub.asStub());
    const message = response.message ?? '';
    if (response.status !== 200) {
      return { stub, result: undefined, error: parseContractError(message), message, event: undefined };
    }
    const result: unknown = JSON.parse(Buffer.from(response.payload ?? []).toString());
    const event = stub.event && (JSON.parse(stub.event.payload.toString()) as LedgerEvent);
    return { stub, result, error: undefined, message, event };
  }

  /** Simulates and commits; a refusal or a conflict is thrown. */
  async submit<T>(transaction: string, argument: unknown, mspId: string, role: string): Promise<T> {
    return this.submitAs<T>(transaction, argument, await identity(mspId, role));
  }

  async submitAs<T>(transaction: string, argument: unknown, caller: Identity): Promise<T> {
    const simulated = await this.simulate(transaction, argument, caller);
    this.raise(simulated);
    const code = this.commit(simulated);
    if (code !== 'VALID') {
      throw new Error(code);
    }
    return simulated.result as T;
  }

  async evaluate<T>(transaction: string, argument: unknown, mspId: string = GRID, role = 'operator'): Promise<T> {
    const simulated = await this.simulate(transaction, argument, await identity(mspId, role));
    this.raise(simulated);
    return simulated.result as T;
  }

  commit(simulated: Simulated): ValidationCode {
    return this.ledger.commit(simulated.stub);
  }

  raise({ error, message }: Simulated): void {
    if (error !== undefined || message !== '') {
      throw error ?? new Error(message);
    }
  }
}

export function newTxId(): string {
  return randomBytes(32).toString('hex');
}
