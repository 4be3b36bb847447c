// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { networkClean, networkStatus, networkUp } from '@sev/network';
import { inHome } from '../config/homes.js';
import { readConnectionProfile, type ConnectionProfile } from '../config/profile.js';
import { systemCode } from '../errors.js';
import { bootstrapConsortium } from '../identity/consortium.js';
import { provisionCars } from '../identity/provisioning.js';
import { initVehicles, type VehicleRequest } from '../identity/vehicles.js';
import { openWallet } from '../identity/wallet.js';
import { openSession, type SessionOptions } from '../ledger/gateway-session.js';
import type { LedgerSession } from '../ledger/session.js';
import { eventually } from './temporary.js';

/** An embedded network with a bootstrapped consortium, in a temporary directory. */
export interface TestNetwork {
  /** What `SEV_NETWORK_HOME` would say. */
  readonly networkHome: string;
  /** Folder of the organisations' homes. */
  readonly homes: string;
  readonly profile: ConnectionProfile;
  /** A new folder, for the home of a vehicle or of another program. */
  newHome(): Promise<string>;
  /** Requests of new vehicles in a home, for cars that the maker provisioned. */
  newVehicles(home: string, count?: number): Promise<VehicleRequest[]>;
  /** A session of an organisation's identity, closed when the tests are over. */
  session(organisation: string, label: string, options?: Partial<SessionOptions>): Promise<LedgerSession>;
  /** Kills the network's process, as a power cut would. */
  kill(): Promise<void>;
  /** Starts it again on what it left. */
  restart(): Promise<void>;
}

/** The suite runs on the embedded network, unless it is asked to run on Fabric. */
const TEST_NETWORK = process.env['SEV_TEST_NETWORK'] ?? 'embedded';

let started: Promise<TestNetwork> | undefined;
let stop: (() => Promise<void>) | undefined;

after(async () => {
  await stop?.();
});

/** The one network of this mocha process, started when it is first asked for. */
export function testNetwork(): Promise<TestNetwork> {
  return (started ??= start());
}

async function start(): Promise<TestNetwork> {
  const directory = await mkdtemp(join(tmpdir(), 'sev-network-'));
  const networkHome = join(directory, 'network');
  const homes = join(directory, 'homes');
  const sessions: LedgerSession[] = [];
  process.env['SEV_PORT_OFFSET'] = 'ephemeral';
  process.env['NETWORK'] = TEST_NETWORK;
  stop = async () => {
    sessions.forEach((session) => {
      session.close();
    });
    await networkClean({ home: networkHome });
    await rm(directory, { recursive: true, force: true });
  };
  await networkUp({ home: networkHome });
  const profile = await readConnectionProfile(networkHome);
  await bootstrapConsortium({ profile, homes, networkHome });
  return {
    networkHome,
    homes,
    profile,
    newHome: () => mkdtemp(join(directory, 'home-')),
    newVehicles: async (home, count = 1) => {
      const cars = await provisionCars(join(homes, 'maker'), count);
      return initVehicles({ home, cars });
    },
    session: async (organisation, label, options = {}) => {
      const wallet = await openWallet(inHome.wallet(join(homes, organisation)));
      const session = await openSession({ profile, identity: await wallet.get(label), ...options });
      sessions.push(session);
      return session;
    },
    kill: async () => {
      const { pid } = await networkStatus({ home: networkHome });
      if (pid === undefined) {
        throw new Error('The network is not running');
      }
      process.kill(pid, 'SIGKILL');
      await eventually(() => !isRunning(pid));
    },
    restart: async () => {
      await networkUp({ home: networkHome });
    },
  };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') {
      return false;
    }
    throw error;
  }
}
