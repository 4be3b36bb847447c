// SPDX-License-Identifier: Apache-2.0
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';

/** What lives on of the group of a dead background process. */
function orphansOf({ background, proc }: Facts): string[] {
  const leader = background.value?.pid;
  return proc
    .processes()
    .filter(({ group, pid, state }) => group === leader && pid !== leader && state !== 'Z' && state !== 'X')
    .map(({ pid, command }) => `${pid.toString()} (${command[0] ?? '?'})`);
}

/** The number may be a later process's: then its group is not ours either (after a restart of the machine). */
function isSameBoot({ background, proc }: Facts): boolean {
  const started = background.value?.startTime.split('/')[0];
  return !proc.exists || proc.bootId === undefined || started === proc.bootId;
}

function deadProblems(facts: Facts): DoctorProblem[] {
  const { background, paths, proc } = facts;
  const pid = background.value?.pid ?? 0;
  const isZombie = proc.process(pid)?.state === 'Z';
  const how = isZombie ? 'is a zombie: dead, and its parent has taken no notice' : 'is gone';
  const orphans = isSameBoot(facts) ? orphansOf(facts) : [];
  return [
    { code: 'BACKGROUND_DEAD', found: `process ${pid.toString()} ${how}; its log is ${paths.log}` },
    ...(orphans.length === 0
      ? []
      : [{ code: 'ORPHANS' as const, found: `${orphans.length.toString()} live on: ${orphans.join(', ')}` }]),
  ];
}

/** Why the last start failed, as long as none has succeeded. */
function startProblems({ failure, running }: Facts): DoctorProblem[] {
  const { value } = failure;
  return value === undefined || running === 'up'
    ? []
    : [{ code: 'START_FAILED', found: `${value.code}: ${value.message}` }];
}

export function backgroundResult(facts: Facts): CheckResult {
  const { background, running, live, problem, nowMs } = facts;
  if (background.error !== undefined) {
    return { seen: '', problems: [{ code: 'STATE_UNREADABLE', found: background.error.message }] };
  }
  const { pid = 0, phase } = background.value ?? {};
  switch (running) {
    case 'never':
    case 'down':
      return { seen: 'the network is not running', problems: startProblems(facts) };
    case 'dead':
      return { seen: '', problems: [...deadProblems(facts), ...startProblems(facts)] };
    case 'starting':
      return { seen: '', problems: [{ code: 'NETWORK_STARTING', found: `process ${pid}: ${phase ?? problem ?? ''}` }] };
    case 'silent':
      return { seen: '', problems: [{ code: 'BACKGROUND_SILENT', found: `process ${pid}: ${problem ?? ''}` }] };
    case 'up': {
      const minutes = Math.max(0, Math.floor((nowMs - (live?.startedAtMs ?? nowMs)) / 60_000));
      return { seen: `the network runs: process ${pid}, for ${minutes} min` };
    }
  }
}

export const backgroundCheck: Check = { name: 'background process', run: backgroundResult };
