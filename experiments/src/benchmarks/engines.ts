// SPDX-License-Identifier: Apache-2.0
import { chooseEngine, engineNamed, modelInputs, newRandom, type Dataset, type Engine, type ModelSpec } from '@sev/fl';
import { cpuMs } from '../cpu.js';
import { median, rounded, type Benchmark, type Figure } from '../figure.js';

const PASSES = 3;
const TRAINING = { epochs: 1, batchSize: 32, learningRate: 1e-3 } as const;

interface Work {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly rows: number;
  readonly note: string;
  /** Measured for the same work with a plain loop over Float32Array, and with TensorFlow.js used plainly. */
  readonly targets: Readonly<Partial<Record<Engine['name'], number>>>;
}

const WORKS: readonly Work[] = [
  {
    name: 'dense',
    spec: { kind: 'dense', layers: [8, 64, 32, 1] },
    rows: 4_000,
    note: 'one epoch of 8-64-32-1, 4,000 rows, batches of 32',
    targets: { dense: 51, 'tfjs-cpu': 510, 'tfjs-wasm': 366 },
  },
  {
    name: 'lstm',
    spec: { kind: 'lstm', steps: 16, features: 8, units: 16 },
    rows: 320,
    note: 'one epoch of LSTM(16), 320 rows of 16 steps of 8, batches of 32',
    targets: { 'tfjs-cpu': 696, 'tfjs-wasm': 332 },
  },
];

/** CPU time of an epoch on each engine that there is here. */
export const engineEpochs: Benchmark = {
  name: 'engines',
  run: async () => {
    const names = new Set<Engine['name']>(['dense', 'tfjs-cpu', 'tfjs-wasm', (await chooseEngine('tfjs')).engine]);
    const figures: Figure[] = [];
    for (const name of names) {
      const engine = await engineNamed(name);
      for (const work of WORKS.filter(({ spec }) => engine.architectures.includes(spec.kind))) {
        figures.push(await epoch(engine, work));
      }
      engine.close();
    }
    return figures;
  },
};

async function epoch(engine: Engine, { name, spec, rows, note, targets }: Work): Promise<Figure> {
  const data = randomData(rows, modelInputs(spec));
  const start = engine.initialParameters(spec, 1);
  const passes: number[] = [];
  // The first pass warms the compiler up.
  for (let seed = 0; seed <= PASSES; seed++) {
    const before = cpuMs();
    await engine.train(spec, start, data, { ...TRAINING, seed });
    passes.push(cpuMs() - before);
  }
  return {
    name: `engine-${engine.name}-${name}-epoch-cpu`,
    value: rounded(median(passes.slice(1)), 1),
    unit: 'ms',
    target: targets[engine.name] ?? null,
    better: 'lower',
    note,
  };
}

function randomData(rows: number, features: number): Dataset {
  const random = newRandom(1);
  const numbers = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  return { features, rows, x: numbers(rows * features), y: numbers(rows) };
}
