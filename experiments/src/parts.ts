// SPDX-License-Identifier: Apache-2.0
import { cpus } from 'node:os';
import { rounded } from './figure.js';
import { print, saveResults } from './output.js';

/** What is measured by name, and what of it goes into the file. */
export type Parts<T> = Readonly<Record<string, (data: T) => unknown>>;

/**
 * Measures the parts that argv names, all where it names none, and writes runs/<name>.json.
 *
 * @param seeds as they are told to the reader: `seed 1`.
 * @param read reads the data, and tells what goes into the file beside the parts.
 */
export async function measureParts<T>(
  name: string,
  seeds: string,
  parts: Parts<T>,
  read: () => Promise<{ readonly data: T; readonly facts: object }>,
): Promise<void> {
  const chosen = process.argv.slice(2);
  const unknown = chosen.filter((part) => !(part in parts));
  if (unknown.length > 0) {
    throw new Error(`no part ${unknown.join(', ')}; known: ${Object.keys(parts).join(', ')}`);
  }
  const processors = cpus();
  print(`${processors.length} × ${processors[0]?.model ?? 'processor'}, Node ${process.versions.node}, ${seeds}`);
  const started = performance.now();
  const { data, facts } = await read();
  const results: Record<string, unknown> = { ...facts };
  for (const [part, measure] of Object.entries(parts)) {
    if (chosen.length === 0 || chosen.includes(part)) {
      results[part] = await measure(data);
    }
  }
  await saveResults(name, results);
  print(`${rounded((performance.now() - started) / 60_000, 1)} minutes`);
}
