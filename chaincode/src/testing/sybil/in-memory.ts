// SPDX-License-Identifier: Apache-2.0
import {
  signStatement,
  type Domain,
  type KeyRecoveryAttestation,
  type MakerAttestation,
  type Page,
  type Policy,
  type VehicleRecord,
} from '../../api';
import { CITY, GRID, MAKER, START_MS, TestConsortium } from '../consortium';
import { identity, randomHash, type Identity } from '../identities';
import type { Car, LedgerPort, Submit } from './ground';

/** A client's tries where others' transactions of the same block came first. */
const TRIES = 3;
const END_MS = START_MS + 400 * 86_400_000;

/** The contracts in memory, with an honest maker in the consortium. */
export async function inMemoryPort(policy: Policy): Promise<LedgerPort> {
  const consortium = await TestConsortium.bootstrapped(policy);
  return portOf(consortium);
}

function portOf(consortium: TestConsortium): LedgerPort {
  return {
    consortium: consortium.bootstrapHash,
    organisations: [MAKER, CITY, GRID],
    nowMs: () => consortium.nowMs,
    newCar: () => newCar(consortium),
    as: async (mspId, role) => submitter(consortium, await identity(mspId, role)),
    certify: async (mspId, vehicleId, key) => ({
      submit: submitter(
        consortium,
        await identity(mspId, 'vehicle', { commonName: vehicleId, key, notAfterMs: END_MS }),
      ),
      notAfterMs: END_MS,
    }),
    vehicles: () => allVehicles(consortium),
  };
}

function submitter(consortium: TestConsortium, caller: Identity): Submit {
  return async (transaction, argument) => {
    for (let tries = 1; ; tries += 1) {
      const simulated = await consortium.simulate(transaction, argument, caller);
      consortium.raise(simulated);
      const code = consortium.commit(simulated);
      if (code === 'VALID') {
        return simulated.result;
      }
      if (tries === TRIES) {
        throw new Error(code);
      }
    }
  };
}

function newCar({ bootstrapHash, makerKey }: TestConsortium): Car {
  const makerKeyId = 'maker-1';
  const tags = new Map<Domain, string>();
  const tagIn = (domain: Domain): string => {
    const tag = tags.get(domain) ?? randomHash();
    tags.set(domain, tag);
    return tag;
  };
  return {
    attest: ({ publicKey, mspId, domain, consortium = bootstrapHash }) => {
      const tag = tagIn(domain);
      const content = { consortium, makerKeyId, publicKey, mspId, domain, tag };
      const statement: MakerAttestation = { type: 'sev/maker-attestation/v1', ...content };
      return Promise.resolve({ makerKeyId, tag, attestation: signStatement(statement, makerKey.privateKey) });
    },
    attestRecovery: ({ vehicleId, mspId, domain, tag }, { rotation, publicKey }) => {
      const content = { makerKeyId, vehicleId, rotation, publicKey, mspId, domain, tag };
      const statement: KeyRecoveryAttestation = {
        type: 'sev/key-recovery/v1',
        consortium: bootstrapHash,
        ...content,
      };
      return Promise.resolve({ makerKeyId, attestation: signStatement(statement, makerKey.privateKey) });
    },
  };
}

async function allVehicles(consortium: TestConsortium): Promise<VehicleRecord[]> {
  const all: VehicleRecord[] = [];
  let bookmark = '';
  do {
    const page: Page<VehicleRecord> = await consortium.evaluate('registry:ListVehicles', { pageSize: 1_000, bookmark });
    all.push(...page.items);
    bookmark = page.bookmark;
  } while (bookmark !== '');
  return all;
}
