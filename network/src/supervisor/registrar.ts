// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { newSecret } from '../embedded/ca/secrets.js';
import { formatJson, readJson } from './json.js';

const schema = z.object({ enrollmentId: z.string().min(1), enrollmentSecret: z.string().min(1) });

/** The registrar that comes with a CA: who can register everybody else in an organisation. */
export type Registrar = Readonly<z.infer<typeof schema>>;

/** Reads an organisation's registrar; draws its secret when there is none yet. The file is for its owner only. */
export async function ensureRegistrar(file: string): Promise<Registrar> {
  const existing = await readJson(file, schema);
  if (existing !== undefined) {
    return existing;
  }
  const registrar = { enrollmentId: 'admin', enrollmentSecret: newSecret() };
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, formatJson(registrar), 0o600);
  return registrar;
}
