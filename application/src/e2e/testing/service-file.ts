// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { inHome } from '../../config/index.js';

/** What a service wrote into its home when it was ready. */
export async function readService(home: string): Promise<{ readonly pid: number; readonly url?: string }> {
  return JSON.parse(await readFile(inHome.service(home), 'utf8')) as { pid: number; url?: string };
}
