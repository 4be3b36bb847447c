// SPDX-License-Identifier: Apache-2.0
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { enrolment, networkEnd, networkStart } from './benchmarks/bringup.js';
import { engineEpochs } from './benchmarks/engines.js';
import { envelopeSize } from './benchmarks/envelope.js';
import { homomorphicSums } from './benchmarks/he.js';
import { faults, soak } from './benchmarks/faults.js';
import { puts } from './benchmarks/puts.js';
import { learning } from './benchmarks/learning.js';
import { brandRun, fleetRun, hundredVehicles } from './benchmarks/rounds.js';
import { ledgerRecords } from './benchmarks/records.js';
import { secureCore } from './benchmarks/secure-core.js';
import { secureScale } from './benchmarks/secure-scale.js';
import { smallVehicle } from './benchmarks/small-vehicle.js';
import { thousandVehicles } from './benchmarks/thousand.js';
import { localTraining } from './benchmarks/training.js';
import { meetsTarget, type Benchmark, type Figure } from './figure.js';
import { Sandbox } from './sandbox.js';

const EMBEDDED: readonly Benchmark[] = [
  localTraining,
  learning,
  engineEpochs,
  envelopeSize,
  secureCore,
  secureScale,
  homomorphicSums,
  fleetRun,
  brandRun,
  hundredVehicles,
  ledgerRecords,
  smallVehicle,
];
const FABRIC: readonly Benchmark[] = [puts, ledgerRecords, fleetRun, faults, enrolment];
/** Measured when they are named only, each on a network of its own: they take long, and a thousand is all that may enrol in an hour. */
const ON_DEMAND: readonly Benchmark[] = [soak, thousandVehicles];
const IS_FABRIC = process.env['NETWORK'] === 'fabric';
const BENCHMARKS = IS_FABRIC ? FABRIC : EMBEDDED;

/** Measures every figure, prints it beside its target and writes runs/bench.json. Names in argv choose benchmarks. */
async function main(): Promise<void> {
  const chosen = process.argv.slice(2);
  const known = [...BENCHMARKS, ...ON_DEMAND];
  const unknown = chosen.filter((name) => !known.some((b) => b.name === name));
  if (unknown.length > 0) {
    throw new Error(`no benchmark ${unknown.join(', ')}; known: ${known.map((b) => b.name).join(', ')}`);
  }
  const processors = cpus();
  note(
    `${processors.length} × ${processors[0]?.model ?? 'processor'}, Node ${process.versions.node}, ${IS_FABRIC ? 'Fabric' : 'embedded'} network`,
  );
  const shared = chosen.length === 0 ? BENCHMARKS : BENCHMARKS.filter(({ name }) => chosen.includes(name));
  const figures = shared.length === 0 ? [] : await onNetwork(shared);
  for (const alone of ON_DEMAND.filter(({ name }) => chosen.includes(name))) {
    figures.push(...(await onNetwork([alone])));
  }
  await save(figures);
}

/** Benchmarks one after the other on a network of their own. */
async function onNetwork(benchmarks: readonly Benchmark[]): Promise<Figure[]> {
  const sandbox = await Sandbox.create();
  const figures: Figure[] = [];
  try {
    const started = performance.now();
    await sandbox.sev(['network', 'up']);
    if (IS_FABRIC) {
      figures.push(...show(await networkStart(sandbox.networkHome, performance.now() - started)));
    }
    for (const benchmark of benchmarks) {
      figures.push(...(await measure(benchmark, sandbox)));
    }
    if (IS_FABRIC) {
      figures.push(...show(await networkEnd(sandbox)));
    }
  } finally {
    await sandbox.remove();
  }
  return figures;
}

async function measure(benchmark: Benchmark, sandbox: Sandbox): Promise<readonly Figure[]> {
  const dataFolder = process.env['SEV_DATA_FOLDER'] ?? resolve('../shared/data');
  const { networkHome, homes, folder } = sandbox;
  note(`\n${benchmark.name}`);
  const result = await benchmark.run({
    ...{ dataFolder, networkHome, homes, folder },
    sev: (args, killed) => sandbox.sev(args, killed),
    start: (args) => sandbox.start(args),
  });
  if ('skipped' in result) {
    note(`  skipped: ${result.skipped}`);
    return [];
  }
  return show(result);
}

function show(figures: readonly Figure[]): readonly Figure[] {
  for (const figure of figures) {
    const target = figure.target === null ? '' : `target ${figure.better === 'higher' ? '≥' : '≤'} ${figure.target}`;
    const verdict = figure.target === null ? ' ' : meetsTarget(figure) ? '✓' : '✗';
    const value = `${figure.value} ${figure.unit}`.padStart(18);
    note(`  ${verdict} ${figure.name.padEnd(40)}${value}  ${target.padEnd(18)} ${figure.note}`);
  }
  return figures;
}

async function save(figures: readonly Figure[]): Promise<void> {
  const file = resolve('runs/bench.json');
  await mkdir(resolve('runs'), { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(figures, null, 2)}\n`);
  await rename(`${file}.new`, file);
  const short = figures.filter((figure) => !meetsTarget(figure));
  note(`\n${figures.length} figures, ${short.length} short of their target; ${file}`);
}

function note(text: string): void {
  process.stdout.write(`${text}\n`);
}

await main();
