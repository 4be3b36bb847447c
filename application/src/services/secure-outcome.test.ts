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
import { priceTask } from '../run/learning-task.js';
import { objectMissing } from '../store/object-store.js';
import { secureModel, type SummedRound } from './secure-outcome.js';

const TERMS: SecureTerms = {
  aggregators: ['AMSP', 'BMSP', 'CMSP'],
  threshold: 1,
  clipMilli: 4_000,
  fractionBits: 11,
  shardSize: 2,
  metrics: ['loss', 'samples'],
  projections: 2,
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

/** @returns its code; `none` where it succeeds. */
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'none',
    (error: unknown) => (error as { code: string }).code,
  );

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
    const terms: SecureTerms = { ...TERMS, ringBits: 16, projections: 0, fractionBits: 5, metrics: [] };
    const narrow = totals.map((total) => total.slice(0, D).map((value, i) => (i % 1_000 === 0 ? value % 100 : 0)));
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

  it('cannot be had from a total that is longer than honest ones, where no vehicle is measured by itself', async () => {
    const secure: SecureTerms = { ...TERMS, projections: 0 };
    // Σ weights · 2^f · C, and about as much as rounding adds.
    const edge = 7 * (4 * 2_048 + 60);
    const outcome = (value: number, changed = secure) => {
      const total = new Int32Array(D + 2);
      total[0] = value;
      return codeOf(secureModel({ ...TASK, secure: changed }, roundOf(base, [total]), SCORES, fetch));
    };
    expect(await outcome(edge - 1_000)).to.equal('none');
    expect(await outcome(-2 * edge)).to.equal('TOTAL_OUT_OF_BOUND');
    expect(await outcome(2 * edge, TERMS), 'projections bound vehicles').to.equal('none');
  });

  it('cannot be had without committed sums, their objects or the scores of the cohort', async () => {
    const round = roundOf(base, totals);
    const { sums: _sums, ...scored } = round.secure!;
    expect(await codeOf(secureModel(TASK, { ...round, secure: scored }, SCORES, fetch))).to.equal('SUMS_UNKNOWN');
    const other = { ...SCORES, weights: [4, 1] };
    expect(await codeOf(secureModel(TASK, round, other, fetch))).to.equal('SCORES_MISMATCH');
    expect(await codeOf(secureModel(PLAIN, round, SCORES, fetch))).to.equal('MODE_NOT_SECURE');
    const short = roundOf(base, [totals[0]!.slice(1)]);
    expect(await codeOf(secureModel(TASK, short, SCORES, fetch))).to.equal('RING_LENGTH');
    const absent = { ...round, secure: { ...round.secure!, sums: [['0'.repeat(64)], ['0'.repeat(64)]] } };
    expect(await codeOf(secureModel(TASK, absent, SCORES, fetch))).to.equal('OBJECT_MISSING');
  });
});
