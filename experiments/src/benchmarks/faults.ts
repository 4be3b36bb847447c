// SPDX-License-Identifier: Apache-2.0
import { setTimeout as pause } from 'node:timers/promises';
import type { Benchmark, BenchmarkContext, Figure } from '../figure.js';
import { runLoad } from '../load.js';
import { findLeader, higher, lower, nodeNamed } from './native.js';
import { newTaskWriter } from './tasks.js';

const LOAD_MS = 30_000;
const KILL_AFTER_MS = 5_000;
const IN_FLIGHT = 8;
const CLIENT = 'grid';

/** Which process is killed. */
type Victim = (context: BenchmarkContext) => Promise<string>;

async function leader({ networkHome }: BenchmarkContext): Promise<string> {
  const found = await findLeader(networkHome);
  if (found === undefined) {
    throw new Error('no orderer says that it leads');
  }
  return found.organisation;
}

const VICTIMS: Readonly<Record<string, Victim>> = {
  follower: async (context) => {
    const leading = await leader(context);
    return `orderer.${['maker', 'city', 'regulator'].find((name) => name !== leading) ?? ''}`;
  },
  peer: () => Promise.resolve('peer.city'),
  chaincode: () => Promise.resolve('chaincode.city'),
  'own-chaincode': () => Promise.resolve(`chaincode.${CLIENT}`),
  'own-peer': () => Promise.resolve(`peer.${CLIENT}`),
  leader: async (context) => `orderer.${await leader(context)}`,
};

/** Kills a process under load and counts what the client saw: the longest silence, what failed, what was lost. */
async function measure(context: BenchmarkContext, what: string, victim: Victim): Promise<Figure[]> {
  const writer = await newTaskWriter(context, CLIENT);
  try {
    const name = await victim(context);
    const load = runLoad({ inFlight: IN_FLIGHT, durationMs: LOAD_MS, call: (index) => writer.write(index) });
    await pause(KILL_AFTER_MS);
    const { pid } = await nodeNamed(context, name);
    if (pid === undefined) {
      throw new Error(`${name} does not run`);
    }
    process.kill(pid, 'SIGKILL');
    const { succeeded, failures, longestGapMs } = await load;
    const found = await Promise.all(
      succeeded.map((index) =>
        writer.isWritten(index).then(
          (isWritten) => isWritten,
          () => false,
        ),
      ),
    );
    const lost = found.filter((isWritten) => !isWritten).length;
    const note = `kill -9 ${name} after ${(KILL_AFTER_MS / 1000).toString()} s of ${(LOAD_MS / 1000).toString()}, ${IN_FLIGHT.toString()} in flight`;
    return [
      lower(`fault-${what}-gap`, longestGapMs / 1000, 's', 8, note),
      lower(
        `fault-${what}-failed`,
        failures.length,
        'calls',
        0,
        `told to the client as failed; ${succeeded.length.toString()} succeeded`,
      ),
      lower(`fault-${what}-lost`, lost, 'transactions', 0, 'confirmed and not on the ledger'),
    ];
  } finally {
    writer.close();
  }
}

/** Kills one process of each kind under load. */
export const faults: Benchmark = {
  name: 'faults',
  run: async (context) => {
    const figures: Figure[] = [];
    for (const [what, victim] of Object.entries(VICTIMS)) {
      figures.push(...(await measure(context, what, victim)));
    }
    return figures;
  },
};

const SOAK_MINUTES = Number(process.env['SOAK_MINUTES'] ?? 30);
const SOAK_RATE = Number(process.env['SOAK_RATE'] ?? 20);

/** Sustained load: whether the short timeouts of SmartBFT change leaders without need, and whether memory grows. */
export const soak: Benchmark = {
  name: 'soak',
  run: async (context) => {
    const { networkMemory } = await import('./native.js');
    const writer = await newTaskWriter(context, CLIENT);
    try {
      const minuteMs = 60_000;
      const run = (minutes: number, first: number) =>
        runLoad({
          inFlight: 50,
          durationMs: minutes * minuteMs,
          ratePerSecond: SOAK_RATE,
          call: (index) => writer.write(first + index),
        });
      const before = await findLeader(context.networkHome);
      const warm = await run(Math.min(5, SOAK_MINUTES / 3), 0);
      const memoryWarm = await networkMemory(context.networkHome);
      const rest = await run(SOAK_MINUTES - Math.min(5, SOAK_MINUTES / 3), 1_000_000);
      const memoryEnd = await networkMemory(context.networkHome);
      const after = await findLeader(context.networkHome);
      const all = warm.succeeded.length + rest.succeeded.length;
      const note = `${SOAK_MINUTES.toString()} min at ${SOAK_RATE.toString()} tx/s asked, ${all.toString()} committed`;
      return [
        lower('soak-leader-changes', before?.leaderId === after?.leaderId ? 0 : 1, 'changes', 0, note),
        lower('soak-failed', warm.failures.length + rest.failures.length, 'calls', 0, note),
        lower(
          'soak-memory-growth',
          memoryEnd / memoryWarm,
          '×',
          1.25,
          `after 5 min ${memoryWarm.toFixed(0)} MB, at the end ${memoryEnd.toFixed(0)} MB`,
        ),
        higher('soak-committed', all, 'transactions', null, note),
        lower('soak-longest-gap', Math.max(warm.longestGapMs, rest.longestGapMs) / 1000, 's', null, note),
      ];
    } finally {
      writer.close();
    }
  },
};
