// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { systemErrorCode } from '../errors.js';

/** A JSON file that is there but does not hold what it should. */
export class JsonFileError extends Error {
  constructor(file: string, detail: string) {
    super(`${file}: ${detail}`);
    this.name = 'JsonFileError';
  }
}

/** Reads a JSON file of a known form; `undefined` when there is none. @throws JsonFileError */
export async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    // The parser's message quotes the content, which may be a secret.
    throw new JsonFileError(file, 'is not JSON');
  }
  const result = schema.safeParse(document);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new JsonFileError(file, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'has another form'}`);
  }
  return result.data;
}

/** JSON as it is written to files: for people too. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
