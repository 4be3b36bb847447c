// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { systemErrorCode } from '../errors.js';

/** A process as Linux's /proc describes it (proc(5)). */
export interface ProcessRow {
  readonly pid: number;
  readonly group: number;
  /** R, S, D, T (stopped), Z (zombie), … */
  readonly state: string;
  readonly command: readonly string[];
}

/** Where somebody listens. */
export interface Listener {
  readonly port: number;
  readonly address: string;
  readonly inode: string;
}

/** Gone meanwhile, or another user's: either way there is nothing to tell. */
const UNREADABLE = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (UNREADABLE.includes(systemErrorCode(error) ?? '')) {
      return undefined;
    }
    throw error;
  }
}

/** Reads /proc, where there is one; `root` is another place in tests. */
export class Proc {
  readonly #root: string;
  #owners: ReadonlyMap<string, number> | undefined;

  constructor(root = '/proc') {
    this.#root = root;
  }

  get exists(): boolean {
    return existsSync(join(this.#root, 'net', 'tcp'));
  }

  /** Name of the machine's present boot; process numbers mean nothing beyond it. */
  get bootId(): string | undefined {
    const file = join(this.#root, 'sys', 'kernel', 'random', 'boot_id');
    return orNothing(() => readFileSync(file, 'utf8'))?.trim();
  }

  #pids(): string[] {
    return this.exists ? readdirSync(this.#root).filter((name) => /^\d+$/.test(name)) : [];
  }

  process(pid: number): ProcessRow | undefined {
    const stat = orNothing(() => readFileSync(join(this.#root, pid.toString(), 'stat'), 'utf8'));
    if (stat === undefined) {
      return undefined;
    }
    // The program's name in brackets may itself hold blanks and brackets.
    const [state = '', , group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const line = orNothing(() => readFileSync(join(this.#root, pid.toString(), 'cmdline'), 'utf8')) ?? '';
    return { pid, group: Number(group), state, command: line.split('\0').filter((part) => part !== '') };
  }

  processes(): ProcessRow[] {
    return this.#pids().flatMap((pid) => this.process(Number(pid)) ?? []);
  }

  /** The most files that a process may have open, and how many it has; nothing where it is not told. */
  files(pid: number | 'self'): { readonly limit: number; readonly open: number } | undefined {
    const folder = join(this.#root, pid.toString());
    const limits = orNothing(() => readFileSync(join(folder, 'limits'), 'utf8'));
    const open = orNothing(() => readdirSync(join(folder, 'fd')).length);
    const soft = /^Max open files\s+(\S+)/m.exec(limits ?? '')?.[1];
    if (soft === undefined || open === undefined) {
      return undefined;
    }
    return { limit: soft === 'unlimited' ? Infinity : Number(soft), open };
  }

  /** Whether the program that a process runs is no longer the file of that name. */
  runsReplacedProgram(pid: number): boolean {
    const program = orNothing(() => readlinkSync(join(this.#root, pid.toString(), 'exe')));
    return program?.endsWith(' (deleted)') ?? false;
  }

  /** Who listens on TCP ports, IPv4 and IPv6. */
  listeners(): Listener[] {
    return ['tcp', 'tcp6'].flatMap((name) => {
      const table = orNothing(() => readFileSync(join(this.#root, 'net', name), 'utf8')) ?? '';
      return table.split('\n').slice(1).flatMap(listenerOf);
    });
  }

  /** The process that holds a socket; nothing where it is another user's. */
  ownerOf(listener: Listener): ProcessRow | undefined {
    this.#owners ??= this.#readOwners();
    const pid = this.#owners.get(listener.inode);
    return pid === undefined ? undefined : this.process(pid);
  }

  #readOwners(): Map<string, number> {
    const owners = new Map<string, number>();
    for (const pid of this.#pids()) {
      const folder = join(this.#root, pid, 'fd');
      for (const descriptor of orNothing(() => readdirSync(folder)) ?? []) {
        const target = orNothing(() => readlinkSync(join(folder, descriptor)));
        const inode = /^socket:\[(\d+)\]$/.exec(target ?? '')?.[1];
        if (inode !== undefined) {
          owners.set(inode, Number(pid));
        }
      }
    }
    return owners;
  }
}

const LISTEN = '0A';

function listenerOf(line: string): Listener[] {
  const fields = line.trim().split(/\s+/);
  const [address = '', port = ''] = (fields[1] ?? '').split(':');
  const inode = fields[9];
  if (fields[3] !== LISTEN || inode === undefined) {
    return [];
  }
  return [{ port: parseInt(port, 16), address: addressOf(address), inode }];
}

/** /proc writes addresses as 32-bit words in the machine's byte order, which is little-endian wherever this runs. */
function addressOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) {
    return bytes.map((byte) => parseInt(byte, 16).toString()).join('.');
  }
  const text = bytes.join('').toLowerCase();
  if (/^0+$/.test(text)) {
    return '::';
  }
  return /^0+1$/.test(text) ? '::1' : (text.match(/.{4}/g) ?? []).join(':');
}

/** A process in words: its number and how it was started, shortened. */
export function describeProcess({ pid, command }: ProcessRow): string {
  const line = command.join(' ');
  return `process ${pid.toString()} (${line.length > 80 ? `${line.slice(0, 77)}…` : line || 'no command line'})`;
}
