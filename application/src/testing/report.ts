// SPDX-License-Identifier: Apache-2.0
import type { Report } from '../report/report.js';

/** A small report with plausible figures. */
export function exampleReport(): Report {
  const r2 = [0.412, 0.655, 0.731, 0.768, 0.787];
  return {
    schemaVersion: 1,
    createdAt: '2026-01-02T03:04:05.000Z',
    network: {
      kind: 'embedded',
      trust: 'single-operator',
      organisations: ['grid', 'maker', 'city', 'regulator'],
      height: 31,
    },
    task: 'price',
    unit: 'rupees',
    taskId: 'price-0000',
    data: { source: 'generated (400 rows, seed 1)', rows: 400, testRows: 81 },
    split: 'iid',
    seed: 1,
    vehicles: 4,
    aggregation: 'plain',
    rounds: r2.map((value, index) => ({
      round: index + 1,
      attempt: 1,
      cohort: 4,
      excluded: 0,
      modelHash: String(index).repeat(64),
      r2: value,
      mae: 200_000 - index * 15_000,
      transactions: 4,
      commits: 4,
      uploadBytesPerVehicle: 44_900,
      ms: { train: 120.5, record: 40, aggregate: 30, ledger: 90, total: 290 + index },
      measured: 'whole' as const,
    })),
    baselines: { central: { r2: 0.861, mae: 121_000, epochs: 15 }, alone: { r2: 0.62, mae: 190_000, epochs: 25 } },
    personalised: {
      ...{ r2: 0.791, mae: 138_000, meanMae: 139_000, worstTenthMae: 171_000, epochs: 5 },
      before: { r2: 0.787, mae: 140_000, meanMae: 141_000, worstTenthMae: 180_000 },
    },
    vehicle: { cpuMs: 12.5, peakMemoryMb: 92, bytesUp: 46_800, bytesDown: 45_900 },
    audit: { ok: true, checked: 31, details: { blocks: 31 } },
    ms: { setUp: 2_000, rounds: 1_500, baselines: 900, audit: 300, total: 5_000 },
  };
}
