// SPDX-License-Identifier: Apache-2.0
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints a table as markdown has it. */
export function printTable(header: readonly string[], rows: readonly (readonly string[])[]): void {
  [header, header.map(() => '---'), ...rows].forEach((cells) => {
    print(`| ${cells.join(' | ')} |`);
  });
}

/** Writes what an experiment found to runs/<name>.json and says so. */
export async function saveResults(name: string, results: object): Promise<void> {
  const file = resolve('runs', `${name}.json`);
  await mkdir(resolve('runs'), { recursive: true });
  await writeFile(`${file}.new`, `${JSON.stringify(results, null, 2)}\n`);
  await rename(`${file}.new`, file);
  print(`\n${file}`);
}
