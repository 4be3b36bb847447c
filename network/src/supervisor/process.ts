// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { systemErrorCode } from '../errors.js';
import { poll } from './poll.js';

const ORPHAN_DEADLINE_MS = 5_000;

/** A process, told apart from a later one with the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own words; compared, never read. */
  readonly startTime: string;
}

interface ProcessRow {
  readonly pid: number;
  readonly group: number;
  readonly isZombie: boolean;
  readonly startTime: string;
}

const hasProc = existsSync('/proc/self/stat');

/** Fields of /proc/<pid>/stat (proc(5)) after the program's name, which may itself hold blanks and brackets. */
function readProc(pid: number): ProcessRow | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid.toString()}/stat`, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(systemErrorCode(error) ?? '')) {
      return undefined;
    }
    throw error;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, , group] = fields;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return {
    pid,
    group: Number(group),
    isZombie: state === 'Z' || state === 'X',
    // Field 22: ticks since boot; a boot has a name of its own.
    startTime: `${boot}/${fields[19] ?? ''}`,
  };
}

function listByPs(): ProcessRow[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,pgid=,stat=,lstart='], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return table.split('\n').flatMap((line) => {
    const [pid, group, state, ...start] = line.trim().split(/\s+/);
    if (pid === undefined || group === undefined || state === undefined) {
      return [];
    }
    return [{ pid: Number(pid), group: Number(group), isZombie: state.startsWith('Z'), startTime: start.join(' ') }];
  });
}

function listProcesses(): ProcessRow[] {
  if (!hasProc) {
    return listByPs();
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProc(Number(name)) ?? []);
}

function findProcess(pid: number): ProcessRow | undefined {
  return hasProc ? readProc(pid) : listByPs().find((row) => row.pid === pid);
}

/** The identity of a living process. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const row = findProcess(pid);
  return row === undefined || row.isZombie ? undefined : { pid, startTime: row.startTime };
}

/** Whether this very process lives. Signal 0 would also find zombies and later processes with the same number. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startTime === identity.startTime;
}

/** Sends a signal; `false` when there is nobody left to get it. A negative number names a process group. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ESRCH') {
      return false;
    }
    throw error;
  }
}

/** After a restart of the machine a group of the same number is somebody else's. */
function isSameBoot(one: ProcessIdentity, other: ProcessIdentity): boolean {
  return !hasProc || one.startTime.split('/')[0] === other.startTime.split('/')[0];
}

/**
 * Kills what a dead leader of a process group left behind, and waits until it is gone: it may hold ports. While the group
 * has members the system gives its number to no new process; a process with the leader's number and another start time
 * means that the group is not ours.
 * @returns whether nobody is left
 */
export async function killOrphans(leader: ProcessIdentity): Promise<boolean> {
  const now = findProcess(leader.pid);
  if (now !== undefined && now.startTime !== leader.startTime) {
    return true;
  }
  const isOrphan = (row: ProcessRow): boolean =>
    row.group === leader.pid && row.pid !== leader.pid && !row.isZombie && isSameBoot(row, leader);
  const hasOrphans = (): boolean => listProcesses().some(isOrphan);
  if (!hasOrphans()) {
    return true;
  }
  sendSignal(-leader.pid, 'SIGKILL');
  return (await poll(() => !hasOrphans() || undefined, ORPHAN_DEADLINE_MS)) ?? false;
}
