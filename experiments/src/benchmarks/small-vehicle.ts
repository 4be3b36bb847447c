// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Benchmark, BenchmarkContext } from '../figure.js';
import type { StartedProgram } from '../sandbox.js';
import { lower } from './native.js';

/** Others of the cohort, beside the vehicle that is measured. */
const OTHERS = 9;
const ROWS = 500;
/** Of each organisation's attester, and the coordinator's. */
const VALIDATION = ['--validation-generate', '50'];
const ROUNDS = 2;
const ORGANISATIONS = ['grid', 'maker', 'city', 'regulator'];
const PEERS = ORGANISATIONS.filter((name) => name !== 'grid');
const AGGREGATORS = ORGANISATIONS.filter((name) => name !== 'regulator');
/** What Node takes that does nothing: bytes. */
const BARE_NODE = 'process.stdout.write(String(process.resourceUsage().maxRSS * 1024))';

/** What a round of task price takes of a small device: one vehicle with its own rows, in mode secure, beside a pool. */
export const smallVehicle: Benchmark = {
  name: 'small-vehicle',
  run: async (context) => {
    const started: StartedProgram[] = [];
    try {
      const { peakMemoryMb, cpuMs } = await roundsBesideOthers(context, started);
      const { stdout } = await promisify(execFile)(process.execPath, ['-e', BARE_NODE]);
      const bareMb = Number(stdout) / 1024 / 1024;
      const rows = `${ROWS.toString()} rows, a fifth of them for testing`;
      return [
        lower(
          'small-vehicle-memory',
          peakMemoryMb - bareMb,
          'MB',
          60,
          `above Node itself (${bareMb.toFixed(0)}); ${rows}`,
        ),
        lower('small-vehicle-cpu', cpuMs, 'ms', null, 'of its whole program in the last round'),
      ];
    } finally {
      await Promise.all(started.map((program) => program.stop()));
    }
  },
};

/** The programs of a task as separate processes. @returns what the last round cost the small vehicle */
async function roundsBesideOthers(
  context: BenchmarkContext,
  started: StartedProgram[],
): Promise<{ peakMemoryMb: number; cpuMs: number }> {
  const { sev, homes } = context;
  const run = async (program: string, ...args: readonly string[]): Promise<StartedProgram> => {
    const running = await context.start([program, 'run', ...args]);
    started.push(running);
    return running;
  };
  const each = async (program: string, names: readonly string[], ...args: readonly string[]): Promise<string[]> => {
    const addresses = await Promise.all(
      names.map(async (name) => {
        const { url } = await run(program, '--org', name, '--home', join(homes, name), ...args);
        return [`--${program}`, `${name}=${url}`];
      }),
    );
    return addresses.flat();
  };
  const [own, pool] = [join(homes, 'small'), join(homes, 'others')];
  await sev(['vehicle', 'enroll', '--count', '1', '--home', own]);
  await sev(['vehicle', 'enroll', '--count', OTHERS.toString(), '--home', pool]);
  const store = ['--store', (await run('store', '--home', join(homes, 'store'))).url];
  const taskId = `small-${randomBytes(4).toString('hex')}`;
  const vehicles = (OTHERS + 1).toString();
  await sev(['task', 'create', taskId, '--vehicles', vehicles, '--rounds', ROUNDS.toString(), ...store]);
  const attesters = await each('attester', PEERS, ...VALIDATION, ...store);
  const aggregators = await each('aggregator', AGGREGATORS, ...store);
  const batchers = await each('batcher', ['maker']);
  const peers = [...store, '--task', taskId, ...aggregators, ...batchers];
  const data = (rows: number): string[] => ['--generate', rows.toString(), '--data-seed', '1'];
  await run('vehicle', '--low-memory', '--home', own, '--client', '0/1', ...data(ROWS), ...peers);
  await run(
    'vehicle',
    '--pool',
    '--home',
    pool,
    '--client',
    `0/${OTHERS.toString()}`,
    ...data(ROWS * OTHERS),
    ...peers,
  );
  const arbiter = attesters.at(-1) ?? '';
  const grid = ['--org', 'grid', '--home', join(homes, 'grid'), '--task', taskId, ...VALIDATION, ...store];
  const coordinator = await run('coordinator', ...grid, ...attesters, ...aggregators, '--arbiter', arbiter);
  await coordinator.ended;
  const cost = await readFile(join(own, 'costs', taskId, `${ROUNDS.toString()}.json`), 'utf8');
  return JSON.parse(cost) as { peakMemoryMb: number; cpuMs: number };
}
