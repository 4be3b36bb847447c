// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { EXIT, SevError, systemCode } from '../errors.js';

/**
 * Reads a file that another command line wrote.
 *
 * @param writer the command line that writes such a file.
 * @throws SevError FILE_UNREADABLE
 */
export async function readJsonFile(path: string, writer: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    const isMissing = systemCode(error) === 'ENOENT';
    throw new SevError('FILE_UNREADABLE', isMissing ? `${path}: no such file` : `${path} cannot be read as JSON`, {
      hint: `Check the path; \`${writer}\` writes this file.`,
      exitCode: EXIT.usage,
      cause: error,
    });
  }
}

/** Writes what a command answers for another one to read, where a path is named. @returns what the answer says of it. */
export async function writeOut(path: string | undefined, value: unknown): Promise<string> {
  if (path === undefined) {
    return '';
  }
  const { writeJson } = await import('../store/files.js');
  await writeJson(path, value);
  return `, written to ${path}`;
}

/** Which vehicles were refused, why, and what to do about it. */
export function refusalLines(
  refused: readonly {
    readonly vehicleId: string;
    readonly code?: string;
    readonly detail?: string;
    readonly hint?: string | undefined;
  }[],
): string[] {
  return refused.flatMap(({ vehicleId, code = '', detail = '', hint }) => [
    `  ${vehicleId}  ${code}: ${detail}`,
    ...(hint === undefined ? [] : [`  → ${hint}`]),
  ]);
}
