// SPDX-License-Identifier: Apache-2.0
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';

/** Fabric's programs: needed where a native network lies or is asked for. */
export function programsResult({ asked, kind, programs, live, proc }: Facts): CheckResult {
  if (!['auto', 'fabric', 'embedded'].includes(asked)) {
    return { seen: '', problems: [{ code: 'NETWORK_KIND_INVALID', found: `NETWORK=${asked}` }] };
  }
  if (kind === 'embedded') {
    return { seen: 'not needed: the network here is embedded, or would be' };
  }
  const problems: DoctorProblem[] = programs.map((problem) => ({
    code: problem.kind === 'missing' ? 'FABRIC_MISSING' : 'FABRIC_VERSION',
    found: problem.detail,
  }));
  for (const { name, pid } of live?.nodes ?? []) {
    if (pid !== undefined && proc.runsReplacedProgram(pid)) {
      problems.push({ code: 'PROGRAM_REPLACED', found: `${name} (process ${pid.toString()})` });
    }
  }
  return { seen: 'all are on PATH, of a release that will do', problems };
}

export const programsCheck: Check = { name: 'programs', run: programsResult };
