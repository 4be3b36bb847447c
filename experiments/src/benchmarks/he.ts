// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes } from 'node:crypto';
import {
  createHeReport,
  HeKeyHolder,
  HeMaskHolder,
  HeRuntime,
  HeSummer,
  newSealingKey,
  openHeSum,
  systemRandom,
  type HeldMask,
  type HeReport,
  type HeTerms,
} from '@sev/fl';
import { cpuMs } from '../cpu.js';
import { median, rounded, type Benchmark } from '../figure.js';

const PARAMETERS = 100_000;
const VEHICLES = 6;
/** The first report warms the compiler up. */
const WARM_UP = 1;
const MAX_ABSOLUTE = 2 ** 16;

/** Sums under homomorphic encryption: what a vehicle computes and uploads, and that the sum is exact. */
export const homomorphicSums: Benchmark = {
  name: 'homomorphic',
  run: async () => {
    const runtime = await HeRuntime.load();
    try {
      return await figures(runtime);
    } finally {
      runtime.close();
    }
  },
};

async function figures(runtime: HeRuntime) {
  const keyHolder = new HeKeyHolder(runtime);
  const sealing = await newSealingKey();
  const { publicKey } = keyHolder;
  const range = { vehicles: VEHICLES, maxAbsolute: MAX_ABSOLUTE };
  const keyHash = createHash('sha256').update(publicKey).digest('hex');
  const terms: HeTerms = { keyHash, length: PARAMETERS, range };
  const maskHolder = new HeMaskHolder({ privateKey: sealing.privateKey, terms, minimumCohort: VEHICLES });
  const cohort = Array.from({ length: VEHICLES }, (_, index) => `v-${index}`);
  const summer = new HeSummer(runtime, terms, cohort);
  const masks = new Map<string, HeldMask>();
  const expected = new Float64Array(PARAMETERS);
  const passes: number[] = [];
  let bytes = 0;
  for (const vehicle of cohort) {
    const values = Float64Array.from({ length: PARAMETERS }, () => Math.round((2 * Math.random() - 1) * MAX_ABSOLUTE));
    values.forEach((value, i) => {
      expected[i] = (expected[i] ?? 0) + value;
    });
    const context = randomBytes(32).toString('hex');
    const before = cpuMs();
    const report = await createHeReport(runtime, {
      ...{ values, context, terms, publicKey },
      maskHolder: sealing.publicKey,
      random: systemRandom,
    });
    passes.push(cpuMs() - before);
    bytes = uploadOf(report);
    summer.add(vehicle, report.root, report);
    masks.set(vehicle, await maskHolder.accept(report.root, report));
  }
  const masked = keyHolder.decrypt(summer.sum());
  const sum = openHeSum({ terms, masked, masks: maskHolder.sum(cohort, masks) });
  const errors = expected.filter((value, i) => value !== sum[i]).length;
  summer.close();
  keyHolder.close();
  const note = '100,000 parameters';
  return [
    figure('he-encrypt-cpu', rounded(median(passes.slice(WARM_UP)), 0), 'ms', 150, `mask, encrypt, seal; ${note}`),
    figure('he-upload', rounded(bytes / 1e6, 2), 'MB', 3.3, note),
    figure('he-sum-errors', errors, 'values', 0, `of the sum of ${VEHICLES} vehicles; ${note}`),
  ];
}

function uploadOf({ ciphertexts, sealedSeed }: HeReport): number {
  return ciphertexts.reduce((sum, one) => sum + one.length, sealedSeed.length);
}

function figure(name: string, value: number, unit: string, target: number, note: string) {
  return { name, value, unit, target, better: 'lower', note } as const;
}
