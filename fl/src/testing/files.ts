// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The CarDekho file in the folder `shared` beside this repository, where there is one. */
export function carDekhoFile(): string | undefined {
  return sharedFile('cardekho/CAR DETAILS FROM CAR DEKHO.csv');
}

/** A file below `shared/data` beside this repository, where there is one. */
export function sharedFile(name: string): string | undefined {
  const path = fileURLToPath(new URL(`../../../../shared/data/${name}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}
