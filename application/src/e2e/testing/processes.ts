// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';

export interface ProcessRow {
  readonly pid: number;
  readonly command: string;
}

/** Living processes whose command line holds a text. */
export function processesWith(text: string): ProcessRow[] {
  const table = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,stat=,command='], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return table.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line);
    const [, pid = '', state = '', command = ''] = match ?? [];
    return command.includes(text) && !state.startsWith('Z') ? [{ pid: Number(pid), command }] : [];
  });
}
