// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { sha256Hex, type RoundOpening, type SecureTerms, type Task } from '@sev/chaincode/api';
import {
  parametersFromBytes,
  parametersToBytes,
  ringBytes,
  ringFromBytes,
  ringZeros,
  subtractFrom,
  type RingBits,
  type RingVector,
} from '@sev/fl';
import { expect } from 'chai';
import { priceTask } from '../run/price-task.js';
import { objectMissing } from '../store/object-store.js';
import { secureModel, type SummedRound } from './secure-outcome.js';

const TERMS: SecureTerms = {
  aggregators: ['AMSP', 'BMSP', 'CMSP'],
  threshold: 1,
  clipMilli: 4_000,
  fractionBits: 11,
  shardSize: 2,
  metrics: ['loss', 'samples'],
  projections: 0,
  rule: 'uniform',
  openedShareMilli: 1_000,
  receiptMs: 0,
};
const PLAIN = priceTask({
  taskId: 'price-1',
  vehicles: 2,
  rounds: 1,
  seed: 1,
  trainingRows: 100,
  minimumCohort: 1,
  roundMs: 60_000,
}).task;
const TASK: Task = { ...PLAIN, privacy: 'secure', secure: TERMS };
const D = TASK.model.parameters;
const COHORT = 'c'.repeat(64);
const OPENING: RoundOpening = { aggregators: [] };

const objects = new Map<string, Uint8Array>();
const put = (bytes: Uint8Array): string => {
  const hash = sha256Hex(bytes);
  objects.set(hash, bytes);
  return hash;
};
const fetch = (hash: string): Promise<Uint8Array> => {
  const found = objects.get(hash);
  return found === undefined ? Promise.reject(objectMissing(hash)) : Promise.resolve(found);
};

/** A total as three components that look random. @returns their hashes. */
function shared(total: Int32Array, bits: RingBits): string[] {
  const random = (): RingVector => ringFromBytes(randomBytes((total.length * bits) / 8), total.length, bits);
  const [first, second] = [random(), random()];
  const last = ringZeros(total.length, bits);
  last.set(total);
  subtractFrom(last, first);
  subtractFrom(last, second);
  return [first, second, last].map((component) => put(ringBytes(component)));
}

function roundOf(base: Float32Array, shards: readonly Int32Array[], bits: RingBits = 32): SummedRound {
  const byShard = shards.map((total) => shared(total, bits));
  const sums = [0, 1, 2].map((component) => byShard.map((hashes) => hashes[component]!));
  return {
    taskId: 'price-1',
    round: 1,
    attempt: 2,
    baseModelHash: put(parametersToBytes(base)),
    secure: {
      opening: OPENING,
      openingHash: '',
      openedProjections: 0,
      chargedMicroRho: 0,
      shownAttempts: [{ round: 1, attempt: 2 }],
      disputes: [],
      faulty: [],
      accused: [],
      cohortHash: COHORT,
      cohortSize: 3,
      sums,
    },
  };
}
const SCORES = { cohortHash: COHORT, weights: [4, 1, 2] };

describe('The model of a secure round', () => {
  const base = Float32Array.from({ length: D }, (_, i) => Math.sin(i));
  const totals = [0, 1].map((shard) =>
    Int32Array.from({ length: D + 2 }, (_, i) => ((i * 7_919 + shard * 104_729) % 2_000_001) - 1_000_000),
  );

  it('is the base and the scaled total of all shards, whatever the components look like', async () => {
    const round = roundOf(base, totals);
    const { proposal, bytes, metrics } = await secureModel(TASK, round, SCORES, fetch);
    const exact = base.map((value, i) => value + (totals[0]![i]! + totals[1]![i]!) / (7 * 2_048));
    expect(parametersFromBytes(bytes, D)).to.deep.equal(exact);
    expect([...metrics]).to.deep.equal(
      [D, D + 1].map((i) => Math.fround((totals[0]![i]! + totals[1]![i]!) / (7 * 2_048))),
    );
    expect(proposal).to.deep.equal({
      ...{ taskId: 'price-1', round: 1, attempt: 2, baseModelHash: round.baseModelHash, modelHash: sha256Hex(bytes) },
      ...{ cohortHash: COHORT, cohortSize: 3, excluded: [] },
    });
    const again = await secureModel(TASK, roundOf(base, totals), SCORES, fetch);
    expect(again.proposal.modelHash).to.equal(proposal.modelHash);
  });

  it('is read from sums of 16 bits where the task shares so', async () => {
    const terms: SecureTerms = { ...TERMS, ringBits: 16, fractionBits: 5, metrics: [] };
    const narrow = totals.map((total) => total.slice(0, D).map((value) => value % 2 ** 15));
    const round = roundOf(base, narrow, 16);
    const { bytes } = await secureModel({ ...TASK, secure: terms }, round, SCORES, fetch);
    expect(parametersFromBytes(bytes, D)).to.deep.equal(
      base.map((value, i) => value + (narrow[0]![i]! + narrow[1]![i]!) / (7 * 32)),
    );
  });

  it('adds totals whose sum leaves 32 bits', async () => {
    const large = Int32Array.from({ length: D + 2 }, () => 2 ** 31 - 1);
    const { metrics } = await secureModel(TASK, roundOf(base, [large, large]), SCORES, fetch);
    expect(metrics[0]).to.equal(Math.fround((2 ** 32 - 2) / (7 * 2_048)));
  });

  it('cannot be had without committed sums, their objects or the scores of the cohort', async () => {
    const round = roundOf(base, totals);
    const { sums: _sums, ...scored } = round.secure!;
    const refused = async (call: Promise<unknown>): Promise<string> =>
      call.then(
        () => 'none',
        (error: unknown) => (error as { code: string }).code,
      );
    expect(await refused(secureModel(TASK, { ...round, secure: scored }, SCORES, fetch))).to.equal('SUMS_UNKNOWN');
    const other = { ...SCORES, weights: [4, 1] };
    expect(await refused(secureModel(TASK, round, other, fetch))).to.equal('SCORES_MISMATCH');
    expect(await refused(secureModel(PLAIN, round, SCORES, fetch))).to.equal('MODE_NOT_SECURE');
    const short = roundOf(base, [totals[0]!.slice(1)]);
    expect(await refused(secureModel(TASK, short, SCORES, fetch))).to.equal('RING_LENGTH');
    const absent = { ...round, secure: { ...round.secure!, sums: [['0'.repeat(64)], ['0'.repeat(64)]] } };
    expect(await refused(secureModel(TASK, absent, SCORES, fetch))).to.equal('OBJECT_MISSING');
  });
});
