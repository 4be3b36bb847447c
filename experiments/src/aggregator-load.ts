// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HeldReports, Inbox, priceTask, projectCohort, sumCohort, type CohortWork } from '@sev/application';
import { componentsOf, reportContext, sha256Hex, type CohortRecord, type RoundRecord } from '@sev/chaincode/api';
import { newSealingKey } from '@sev/fl';
import { HOLDERS, randomUpdate, reportOf } from './benchmarks/secure-core.js';
import { cpuMs } from './cpu.js';

/** What one aggregator spent on a round. */
export interface AggregatorLoad {
  /** Processor time of opening, checking and keeping all shares, and of reading, projecting and summing them. */
  readonly cpuMs: number;
  readonly peakRssBytes: number;
}

const MSP_IDS = ['CityMSP', 'GridMSP', 'MakerMSP'];
const WEIGHT = 21;

/**
 * One aggregator's way of a round, from its sealed shares over the files of its inbox to its sums, one report at a time.
 * Run as a program of its own, so that its memory is measured alone: `<vehicles> <parameters>`; prints a JSON line.
 */
async function aggregate(vehicles: number, parameters: number): Promise<AggregatorLoad> {
  const directory = await mkdtemp(join(tmpdir(), 'sev-aggregator-'));
  try {
    const keys = await Promise.all(MSP_IDS.map(() => newSealingKey()));
    const objects = new Map<string, Uint8Array>();
    const { task, place, round } = roundOf(vehicles, parameters);
    const folder = (await Inbox.open(directory)).attempt(place);
    const reports = new HeldReports(folder, secretsOf(keys[0]?.privateKey, place.baseModelHash));
    const store = {
      get: (hash: string) => Promise.resolve(objects.get(hash) ?? new Uint8Array()),
      put: () => Promise.reject(new Error('nothing is stored here')),
      has: (hash: string) => Promise.resolve(objects.has(hash)),
    };
    const members: CohortRecord['members'][number][] = [];
    let spent = 0;
    for (let vehicle = 0; vehicle < vehicles; vehicle++) {
      const vehicleId = `v-${String(vehicle).padStart(6, '0')}`;
      const context = reportContext({ ...place, reporter: vehicleId });
      const { root, ciphertext, ciphertextHash, shares } = await reportOf(randomUpdate(parameters), context, keys);
      objects.set(ciphertextHash, ciphertext);
      const sealed = Buffer.from(shares.get(0) ?? []).toString('base64');
      const before = cpuMs();
      const share = await reports.open({ task, place, store }, vehicleId, root, sealed);
      await reports.keep(vehicleId, { share, receipt: '' });
      spent += cpuMs() - before;
      objects.delete(ciphertextHash);
      members.push({ vehicleId, updateHash: root, weightClass: 0 });
    }
    const work: CohortWork = { task, place, reports, members };
    const { seed } = round.secure;
    const before = cpuMs();
    await projectCohort(work, seed);
    await sumCohort(work, round, {
      ...place,
      cohortHash: seed,
      weights: members.map(() => WEIGHT),
      reasons: [],
    });
    spent += cpuMs() - before;
    return { cpuMs: spent, peakRssBytes: process.resourceUsage().maxRSS * 1024 };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function roundOf(vehicles: number, parameters: number) {
  const options = { taskId: 'load', vehicles, rounds: 1, seed: 1, trainingRows: vehicles * 100 };
  const prepared = priceTask({ ...options, privacy: 'secure', aggregators: MSP_IDS }).task;
  const { secure } = prepared;
  if (secure === undefined) {
    throw new Error('a task in mode secure has terms');
  }
  const terms = { ...secure, metrics: [] };
  const task = {
    task: { ...prepared, model: { ...prepared.model, parameters }, secure: terms },
    terms,
    holders: componentsOf(MSP_IDS.length, terms.threshold),
    index: 0,
    own: HOLDERS.flatMap((by, component) => ((by as readonly number[]).includes(0) ? [component] : [])),
    length: parameters,
  };
  const place = {
    ...{ consortium: sha256Hex('load'), taskId: 'load', round: 1, attempt: 1 },
    baseModelHash: prepared.model.initialModelHash,
  };
  const record: RoundRecord = {
    ...{ docType: 'round', schemaVersion: 2, taskId: 'load', round: 1, attempt: 1, state: 'scored' },
    ...{ privacy: 'secure', baseModelHash: place.baseModelHash, openedBy: 'GridMSP', openedAtMs: 0, deadlineMs: 0 },
  };
  const seed = randomBytes(32).toString('hex');
  const opened = { opening: { aggregators: [] }, openingHash: seed, openedProjections: 0, chargedMicroRho: 0 };
  return {
    task,
    place,
    round: { ...record, secure: { ...opened, shownAttempts: [], disputes: [], faulty: [], accused: [], seed } },
  };
}

function secretsOf(privateKey: Uint8Array | undefined, baseModelHash: string) {
  return {
    ...{ schemaVersion: 1 as const, createdAtMs: 0, baseModelHash, nonce: [], signature: '' },
    sealingKey: Buffer.from(privateKey ?? []).toString('base64'),
    storageKey: randomBytes(32).toString('base64'),
    part: { mspId: 'CityMSP', sealingKey: '', nonceLeaves: [] },
  };
}

const [vehicles, parameters] = process.argv.slice(2).map(Number);
process.stdout.write(`${JSON.stringify(await aggregate(vehicles ?? 0, parameters ?? 0))}\n`);
