// SPDX-License-Identifier: Apache-2.0
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

const SAMPLE_MS = 500;
/** Linux counts processor time in hundredths of a second. */
const MS_PER_TICK = 10;

/** What some processes took together. */
export interface ProcessUse {
  /** Largest sum of their proportional set sizes: what two processes share is counted once. */
  readonly peakMemoryMb: number;
  /** By program, at that moment. */
  readonly memoryMb: Readonly<Record<string, number>>;
  /** Processor time from the first to the last sample in which the marked program ran. */
  readonly cpuMs: number;
}

interface Sampled {
  readonly program: string;
  readonly memoryMb: number;
  readonly cpuMs: number;
}

/**
 * Watches all processes that have to do with a folder, by their environment or their arguments, while something is done
 * (Linux).
 *
 * @param marked a program that runs in the part whose processor time is of interest, as `coordinator run`.
 */
export async function watchProcesses<T>(
  folder: string,
  marked: string,
  work: () => Promise<T>,
): Promise<{ result: T; use: ProcessUse }> {
  const ended = new AbortController();
  const watching = watch(folder, marked, ended.signal);
  try {
    const result = await work();
    ended.abort();
    return { result, use: await watching };
  } finally {
    ended.abort();
  }
}

async function watch(folder: string, marked: string, ended: AbortSignal): Promise<ProcessUse> {
  const names = new Map<string, string | undefined>();
  // Of processes that have ended, too.
  const cpuMs = new Map<string, number>();
  let [from, to] = [0, 0];
  let peak: readonly Sampled[] = [];
  while (!ended.aborted) {
    const now: Sampled[] = [];
    for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
      if (!names.has(pid)) {
        names.set(pid, await programOf(pid, folder));
      }
      const program = names.get(pid);
      const sampled = program === undefined ? undefined : await sample(pid, program);
      if (sampled !== undefined) {
        now.push(sampled);
        cpuMs.set(pid, sampled.cpuMs);
      }
    }
    if (now.some(({ program }) => program.startsWith(marked))) {
      to = sum([...cpuMs.values()]);
      from ||= to;
    }
    if (memoryOf(now) > memoryOf(peak)) {
      peak = now;
    }
    await pause(SAMPLE_MS, undefined, { signal: ended }).catch(() => undefined);
  }
  const memoryMb: Record<string, number> = {};
  for (const { program, memoryMb: size } of peak) {
    memoryMb[program] = (memoryMb[program] ?? 0) + size;
  }
  return { peakMemoryMb: memoryOf(peak), memoryMb, cpuMs: to - from };
}

function memoryOf(processes: readonly Sampled[]): number {
  return sum(processes.map(({ memoryMb }) => memoryMb));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** @returns undefined where the process has nothing to do with the folder, or is gone. */
async function programOf(pid: string, folder: string): Promise<string | undefined> {
  const [environment = '', argumentsText = ''] = await Promise.all([
    textOf(`/proc/${pid}/environ`),
    textOf(`/proc/${pid}/cmdline`),
  ]);
  if (!environment.includes(folder) && !argumentsText.includes(folder)) {
    return undefined;
  }
  const words = argumentsText.split('\0').filter((word) => !word.startsWith('--'));
  const command = words.findIndex((word) => word.endsWith('/sev.js'));
  return command < 0
    ? (words
        .find((word) => word.endsWith('.js'))
        ?.split('/')
        .slice(-2)
        .join('/') ?? 'other')
    : words.slice(command + 1, command + 3).join(' ');
}

async function sample(pid: string, program: string): Promise<Sampled | undefined> {
  const [memory, stat] = await Promise.all([textOf(`/proc/${pid}/smaps_rollup`), textOf(`/proc/${pid}/stat`)]);
  if (memory === undefined || stat === undefined) {
    return undefined;
  }
  // proc(5): after the name in parentheses utime and stime are fields 12 and 13.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const kilobytes = Number(/^Pss:\s+(\d+) kB$/m.exec(memory)?.[1] ?? 0);
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { program, memoryMb: (kilobytes * 1024) / 1e6, cpuMs: ticks * MS_PER_TICK };
}

/** @returns undefined where the process is gone or somebody else's. */
function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
