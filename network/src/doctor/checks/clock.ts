// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { blockTimeMs } from '../ledger-files.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { newestBlock } from '../ledgers.js';
import { askAuthority } from './authorities.js';

const run = promisify(execFile);

/** Peers refuse proposals that are further from their clock (`peer.authentication.timewindow`). */
const TIME_WINDOW_MS = 60_000;
/** Date headers tell whole seconds, and an answer takes its time. */
const DRIFT_MS = 5_000;

/** What clocks say. */
export interface Clocks {
  readonly nowMs: number;
  readonly stateCreatedMs: number | undefined;
  /** Time of the newest transaction, by its client's clock, which may be ahead by the peers' window. */
  readonly newestBlockMs: number | undefined;
  readonly others: readonly { readonly name: string; readonly theirMs: number; readonly ourMs: number }[];
  /** Whether the system keeps its clock right; nothing where it does not say. */
  readonly isSynchronised: boolean | undefined;
}

const seconds = (ms: number): string => `${Math.round(Math.abs(ms) / 1000).toString()} s`;

export function clockResult(clocks: Clocks): CheckResult {
  const { nowMs, stateCreatedMs, newestBlockMs, others, isSynchronised } = clocks;
  const problems: DoctorProblem[] = [];
  if (stateCreatedMs !== undefined && stateCreatedMs > nowMs + TIME_WINDOW_MS) {
    const found = `this network was made ${seconds(stateCreatedMs - nowMs)} from now`;
    problems.push({ code: 'CLOCK_SET_BACK', found });
  }
  if (newestBlockMs !== undefined && newestBlockMs > nowMs + 2 * TIME_WINDOW_MS) {
    const found = `the newest transaction was made ${seconds(newestBlockMs - nowMs)} from now`;
    problems.push({ code: 'CLOCK_SET_BACK', found });
  }
  for (const { name, theirMs, ourMs } of others) {
    const skewMs = theirMs - ourMs;
    if (Math.abs(skewMs) > DRIFT_MS) {
      const code = Math.abs(skewMs) > TIME_WINDOW_MS / 2 ? 'CLOCK_SKEW' : 'CLOCK_DRIFT';
      problems.push({ code, found: `${name} is ${seconds(skewMs)} ${skewMs > 0 ? 'ahead of' : 'behind'} this clock` });
    }
  }
  if (isSynchronised === false) {
    problems.push({ code: 'CLOCK_UNSYNCHRONISED', found: 'timedatectl: NTPSynchronized=no' });
  }
  const compared = others.length === 0 ? '' : `, ${others.length.toString()} CAs agree`;
  const ntp = isSynchronised === undefined ? 'whether NTP runs is not told' : 'kept right by NTP';
  return { seen: `${ntp}${compared}`, problems };
}

async function isSynchronised(): Promise<boolean | undefined> {
  try {
    const { stdout } = await run('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { timeout: 2_000 });
    return { yes: true, no: false }[stdout.trim()];
  } catch {
    // Not this kind of system, or a container: it does not say.
    return undefined;
  }
}

async function readClocks(facts: Facts): Promise<Clocks> {
  const { nowMs, state, profile, running, members } = facts;
  const newest = await newestBlock(facts);
  // This home's own CAs answer only while it runs.
  const isAsked = (name: string): boolean => running === 'up' || !members.some((member) => member.name === name);
  const organisations = (profile.value?.organisations ?? []).filter(({ name }) => isAsked(name));
  const answers = await Promise.all(
    organisations.map(async ({ name, ca }) => ({ name, ...(await askAuthority(name, ca.url, ca.tlsCaCert)) })),
  );
  return {
    nowMs,
    stateCreatedMs: state.value?.createdAtMs,
    newestBlockMs: newest === undefined ? undefined : blockTimeMs(newest),
    others: answers.flatMap(({ name, theirMs, ourMs }) =>
      theirMs === undefined || ourMs === undefined ? [] : [{ name: `the CA of ${name}`, theirMs, ourMs }],
    ),
    isSynchronised: await isSynchronised(),
  };
}

export const clockCheck: Check = { name: 'clock', run: async (facts) => clockResult(await readClocks(facts)) };
