// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import type { Json, Observation } from './scenario.js';

const FOLDER = fileURLToPath(new URL('../../fixtures/parity/', import.meta.url));

const json: z.ZodType<Json> = z.lazy(() =>
  z.union([z.null(), z.boolean(), z.number(), z.string(), z.array(json), z.record(z.string(), json)]),
);

/** Answers of real Fabric, by scenario. */
export type Recording = Readonly<Record<string, Observation>>;

const recordingSchema: z.ZodType<Recording> = z.record(z.string(), z.record(z.string(), json));

/** Reads what real Fabric answered in a theme's scenarios. @throws Error where nothing was recorded. */
export async function readRecording(theme: string): Promise<Recording> {
  return recordingSchema.parse(JSON.parse(await readFile(join(FOLDER, `${theme}.json`), 'utf8')));
}

/** Replaces a theme's recording. */
export async function writeRecording(theme: string, recording: Recording): Promise<void> {
  await writeFileAtomic(join(FOLDER, `${theme}.json`), `${JSON.stringify(recording, undefined, 2)}\n`);
}

/** Replaces the note of what the recordings were made on. */
export async function writeSource(source: Readonly<Record<string, string>>): Promise<void> {
  await writeFileAtomic(join(FOLDER, 'source.json'), `${JSON.stringify(source, undefined, 2)}\n`);
}
