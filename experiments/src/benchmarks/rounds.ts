// SPDX-License-Identifier: Apache-2.0
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from '@sev/application';
import { median, rounded, type Benchmark, type BenchmarkContext, type Figure } from '../figure.js';

const CARDEKHO = join('cardekho', 'CAR DETAILS FROM CAR DEKHO.csv');
const MISSING = 'the CarDekho file is not there (SEV_DATA_FOLDER names its folder)';
const FLOWER = 'Flower 1.41 with Ray, same work';

/** A round on the embedded network, whose blocks take no time to speak of. */
const ROUND_MS = 500;
const COMMITS = 4;
/** Submit to commit of a lone transaction on Fabric, at the default block interval. */
const FABRIC_COMMIT_MS = 165;

/** 20 vehicles, 10 rounds, IID: accuracy and speed of the main job, in mode plain and, without baselines, as it is by default. */
export const fleetRun: Benchmark = {
  name: 'fleet',
  run: async (context) => {
    const data = await cardekho(context);
    if (data === undefined) {
      return { skipped: MISSING };
    }
    const fleet = ['--data', data, '--vehicles', '20', '--rounds', '10', '--split', 'iid'];
    const started = performance.now();
    const report = await runRounds(context, [...fleet, '--privacy', 'plain']);
    const wall = (performance.now() - started) / 1000;
    const secure = await runRounds(context, [...fleet, '--privacy', 'secure', '--no-baselines']);
    const ledger = report.rounds.map((round) => round.ms.ledger);
    const roundTarget = report.network.kind === 'fabric' ? ROUND_MS + COMMITS * FABRIC_COMMIT_MS : ROUND_MS;
    return [
      higher('price-iid-20-r2', lastRound(report).r2, 'R²', 0.8, 'round 10, fold 0; Flower .812'),
      higher('price-iid-20-alone-r2', report.baselines?.alone.r2 ?? NaN, 'R²', null, 'mean of vehicles training alone'),
      higher('price-iid-20-central-r2', report.baselines?.central.r2 ?? NaN, 'R²', null, 'pooled data'),
      lower('run-wall', rounded(wall, 2), 's', 47.6, `enrolment, rounds, baselines, audit; ${FLOWER}`),
      lower('round-median', median(report.rounds.map((round) => round.ms.total)), 'ms', roundTarget, `${FLOWER}: 1200`),
      lower('round-ledger-median', median(ledger), 'ms', null, 'of which waiting for the ledger'),
      lower('round-commits', Math.max(...report.rounds.map((round) => round.commits)), 'commits', 4, 'sequential'),
      lower('upload-per-vehicle', lastRound(report).uploadBytesPerVehicle, 'B', 45_000, 'Flower: 44676'),
      higher('secure-iid-20-r2', lastRound(secure).r2, 'R²', 0.8, 'mode secure, judged by validators'),
      lower('secure-round-median-20', median(secure.rounds.map(({ ms }) => ms.total)), 'ms', null, 'the same'),
      higher('audit-checked', report.audit.ok ? report.audit.checked : 0, 'records', 1, '0 where the audit fails'),
    ];
  },
};

/** 10 vehicles, 30 rounds, rows divided by brand. */
export const brandRun: Benchmark = {
  name: 'brand',
  run: async (context) => {
    const data = await cardekho(context);
    if (data === undefined) {
      return { skipped: MISSING };
    }
    const report = await runRounds(context, [
      '--data',
      data,
      '--vehicles',
      '10',
      '--rounds',
      '30',
      '--split',
      'brand',
      '--privacy',
      'plain',
    ]);
    return [higher('price-brand-10-r2', lastRound(report).r2, 'R²', 0.77, 'round 30, fold 0; FedAvg reference .787')];
  },
};

/** 100 vehicles, 10 rounds on generated data: what a round costs the ledger, and what keeping updates secret costs. */
export const hundredVehicles: Benchmark = {
  name: 'hundred',
  run: async (context) => {
    const report = await runRounds(context, ['--vehicles', '100', '--rounds', '10', '--privacy', 'plain']);
    const secure = await runRounds(context, ['--vehicles', '100', '--rounds', '10', '--privacy', 'secure']);
    const transactions = Math.max(...report.rounds.map((round) => round.transactions));
    const [plainMs, secureMs] = [report, secure].map(({ rounds }) => median(rounds.map(({ ms }) => ms.total)));
    const ratio = (secureMs ?? Number.NaN) / (plainMs ?? Number.NaN);
    const commits = Math.max(...secure.rounds.map((round) => round.commits));
    return [
      lower('hundred-transactions', transactions, 'transactions', 4, 'a round: ceil(100 / 100) + 3'),
      lower('hundred-round-median', median(report.rounds.map((round) => round.ms.total)), 'ms', null, '100 vehicles'),
      lower('secure-round-ratio', rounded(ratio, 2), 'ratio', 1.5, 'median round of 100 vehicles, secure to plain'),
      lower('secure-round-commits', commits, 'commits', 7, 'sequential, 100 vehicles'),
      higher('secure-audit-checked', secure.audit.ok ? secure.audit.checked : 0, 'records', 1, '0 where it fails'),
    ];
  },
};

async function runRounds(context: BenchmarkContext, args: readonly string[]): Promise<Report> {
  return (await context.sev(['round', 'run', ...args])) as Report;
}

async function cardekho({ dataFolder }: BenchmarkContext): Promise<string | undefined> {
  const file = join(dataFolder, CARDEKHO);
  return access(file).then(
    () => file,
    () => undefined,
  );
}

function lastRound(report: Report): Report['rounds'][number] {
  const last = report.rounds.at(-1);
  if (last === undefined) {
    throw new Error('The run has no rounds');
  }
  return last;
}

function higher(name: string, value: number, unit: string, target: number | null, note: string): Figure {
  return { name, value, unit, target, better: 'higher', note };
}

function lower(name: string, value: number, unit: string, target: number | null, note: string): Figure {
  return { name, value, unit, target, better: 'lower', note };
}
