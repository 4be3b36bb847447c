// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { PRICE_LAYERS, type Dataset, type TrainingOptions } from '@sev/fl';

const SCRIPT = fileURLToPath(new URL('../../numpy/local_training.py', import.meta.url));

export interface NumpyTraining {
  /** Of each pass. */
  readonly cpuMs: readonly number[];
  /** On the training rows, after the last pass. */
  readonly meanSquaredError: number;
}

/** @returns undefined where there is no python3 with numpy. */
export async function trainInNumpy(
  data: Dataset,
  start: Float32Array,
  options: Omit<TrainingOptions, 'seed'> & { readonly passes: number },
): Promise<NumpyTraining | undefined> {
  if ((await python(['-c', 'import numpy'], [])).code !== 0) {
    return undefined;
  }
  const work = { ...options, layers: PRICE_LAYERS, rows: data.rows };
  const numbers = [data.x, data.y, start].map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  const { code, output, problem } = await python([SCRIPT], [Buffer.from(`${JSON.stringify(work)}\n`), ...numbers]);
  if (code !== 0) {
    throw new Error(`${SCRIPT} ended with code ${code}: ${problem}`);
  }
  return JSON.parse(output) as NumpyTraining;
}

interface Ended {
  /** 127, as of a shell, where there is no such program. */
  readonly code: number;
  readonly output: string;
  readonly problem: string;
}

async function python(args: readonly string[], input: readonly Buffer[]): Promise<Ended> {
  const child = spawn('python3', args, { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {
    // A program that ends early says why by its code.
  });
  child.stdin.end(Buffer.concat(input));
  const ended = once(child, 'close').then(
    ([code]) => Number(code ?? 1),
    () => 127,
  );
  const [code, output, problem] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, output, problem };
}
