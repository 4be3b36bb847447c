// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { sha256Hex, signStatement, type RecordUpdates, type UpdateStatement } from '@sev/chaincode/api';
import {
  governance,
  inHome,
  learning,
  openSession,
  openWallet,
  priceTask,
  readConnectionProfile,
  type StoredIdentity,
} from '@sev/application';
import { median, rounded, type Benchmark, type BenchmarkContext } from '../figure.js';
import { runLoad } from '../load.js';

const VEHICLES = 100;
const BATCHES = 5;
const LONE_SUBMITS = 15;
const SINGLES_IN_FLIGHT = 50;
const SINGLES_TASKS = 5;

/** How fast the ledger records update envelopes: signatures verified by every endorser, real blocks. */
export const ledgerRecords: Benchmark = {
  name: 'records',
  run: async (context) => {
    const profile = await readConnectionProfile(context.networkHome);
    const coordinators = await openWallet(inHome.wallet(join(context.homes, 'grid')));
    const session = await openSession({ profile, identity: await coordinators.get('coordinator') });
    try {
      const contract = learning(session);
      const { bootstrapHash } = await governance(session).consortium();
      const vehicles = await fleet(context);
      const batches: RecordUpdates[] = [];
      const lone: number[] = [];
      for (let index = 0; index < LONE_SUBMITS; index += 1) {
        const round = await newTask(contract);
        const started = performance.now();
        await contract.openRound(round);
        lone.push(performance.now() - started);
        if (index < BATCHES) {
          batches.push(batchOf(bootstrapHash, round, vehicles));
        }
      }
      const started = performance.now();
      const results = await Promise.all(batches.map((batch) => contract.recordUpdates(batch)));
      const seconds = (performance.now() - started) / 1000;
      const isFabric = profile.network.kind === 'fabric';
      const accepted = results.flatMap(({ result }) => result.results).filter((item) => item.accepted).length;
      return [
        {
          name: 'records-per-second',
          value: rounded(accepted / seconds, 1),
          unit: 'envelopes/s',
          target: isFabric ? 500 : 21.6,
          better: 'higher',
          note: `${BATCHES} batches of ${VEHICLES} at once; ScaleSFL's best on Fabric: 21.6`,
        },
        {
          name: 'single-records-per-second',
          value: rounded(await singles(contract, bootstrapHash, vehicles), 1),
          unit: 'envelopes/s',
          target: isFabric ? 60 : null,
          better: 'higher',
          note: `one envelope a transaction, ${SINGLES_IN_FLIGHT} in flight`,
        },
        {
          name: 'lone-submit-p50',
          value: rounded(median(lone), 1),
          unit: 'ms',
          target: isFabric ? 200 : null,
          better: 'lower',
          note: 'OpenRound to commit status; the block timeout is in it',
        },
      ];
    } finally {
      session.close();
    }
  },
};

/** Envelopes recorded one by one, a second: of several tasks, so that it lasts longer than filling the first block. */
async function singles(
  contract: ReturnType<typeof learning>,
  bootstrapHash: string,
  vehicles: readonly StoredIdentity[],
): Promise<number> {
  const calls: RecordUpdates[] = [];
  for (let index = 0; index < SINGLES_TASKS; index += 1) {
    const round = await newRound(contract);
    const { envelopes } = batchOf(bootstrapHash, round, vehicles);
    calls.push(...envelopes.map((envelope) => ({ ...round, envelopes: [envelope] })));
  }
  const load = await runLoad({
    inFlight: SINGLES_IN_FLIGHT,
    calls: calls.length,
    call: async (index) => {
      const argument = calls[index];
      if (argument !== undefined) {
        await contract.recordUpdates(argument);
      }
    },
  });
  const [failure] = load.failures;
  if (failure !== undefined) {
    throw new Error(`${load.failures.length} single envelopes failed`, { cause: failure.error });
  }
  return calls.length / (load.wallMs / 1000);
}

type OpenedRound = Omit<RecordUpdates, 'envelopes'>;

async function newTask(contract: ReturnType<typeof learning>): Promise<OpenedRound> {
  const taskId = `bench-${randomBytes(4).toString('hex')}`;
  const { task } = priceTask({ taskId, vehicles: VEHICLES, rounds: 1, seed: 1, trainingRows: VEHICLES * 100 });
  await contract.createTask(task);
  return { taskId, round: 1, attempt: 1, baseModelHash: task.model.initialModelHash };
}

async function newRound(contract: ReturnType<typeof learning>): Promise<OpenedRound> {
  const round = await newTask(contract);
  await contract.openRound(round);
  return round;
}

/** The vehicles that the rounds before have enrolled, or new ones. */
async function fleet({ sev, homes }: BenchmarkContext): Promise<readonly StoredIdentity[]> {
  const wallet = await openWallet(inHome.wallet(join(homes, 'fleet')));
  if ((await wallet.list()).length < VEHICLES) {
    await sev(['vehicle', 'enroll', '--count', VEHICLES.toString()]);
  }
  const labels = (await wallet.list()).slice(0, VEHICLES);
  return Promise.all(labels.map((label) => wallet.get(label)));
}

function batchOf(consortium: string, round: OpenedRound, vehicles: readonly StoredIdentity[]): RecordUpdates {
  const envelopes = vehicles.map(({ label, privateKey }) => {
    const content = { vehicleId: label, updateHash: sha256Hex(randomBytes(32)), weightClass: 0 };
    const statement: UpdateStatement = { type: 'sev/update/v1', consortium, ...round, ...content };
    return { ...content, signature: signStatement(statement, createPrivateKey(privateKey)) };
  });
  return { ...round, envelopes };
}
