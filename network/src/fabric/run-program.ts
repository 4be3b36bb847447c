// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { basename, delimiter, dirname } from 'node:path';
import { NetworkError } from '../errors.js';

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const TAIL_CHARACTERS = 800;

/** The environment of Fabric's programs: nothing of ours but PATH, with this Node on it for the external builder. */
export function programEnvironment(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  const temporary = process.env['TMPDIR'];
  return { PATH: path, HOME: process.cwd(), ...(temporary === undefined ? {} : { TMPDIR: temporary }), ...more };
}

/** What is told of a program's output: its errors, without the log lines' colours. */
function reasonOf(output: string): string {
  // eslint-disable-next-line no-control-regex -- terminal colours are control characters
  const plain = output.replace(/\u001b\[[0-9;]*m/g, '').trim();
  const errors = plain.split('\n').filter((line) => /error|fail|panic|fatal/i.test(line));
  return (errors.length > 0 ? errors.join('\n') : plain).slice(-TAIL_CHARACTERS);
}

/**
 * Runs one of Fabric's programs to its end.
 * @returns what it wrote to its standard output
 * @throws NetworkError PROGRAM_FAILED with the errors it wrote
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const { cwd, env } = options;
  return new Promise((resolve, reject) => {
    execFile(
      program,
      [...args],
      {
        ...(cwd === undefined ? {} : { cwd }),
        env: programEnvironment(env),
        timeout: TIMEOUT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
      },
      (error, stdout, stderr) => {
        if (error === null) {
          resolve(stdout);
          return;
        }
        const what = `${basename(program)} ${args.slice(0, 3).join(' ')}`;
        const reason = reasonOf(`${stdout}\n${stderr}`) || error.message;
        reject(new NetworkError('PROGRAM_FAILED', `${what}: ${reason}`, { cause: error }));
      },
    );
  });
}
