// SPDX-License-Identifier: Apache-2.0
import { DOCTOR_CODES, type DoctorCode, type ProblemLevel } from './codes.js';
import type { Facts } from './facts.js';

/** Something that is wrong: a code, and what was found in this case. */
export interface DoctorProblem {
  readonly code: DoctorCode;
  readonly found: string;
}

/** What came of a check. */
export interface CheckResult {
  /** What was looked at, for the case that nothing is wrong. */
  readonly seen: string;
  readonly problems?: readonly DoctorProblem[];
}

/** One thing that is looked at. */
export interface Check {
  readonly name: string;
  /** Nothing where there is nothing to look at: another kind of network, a network that does not run. */
  readonly run: (facts: Facts) => Promise<CheckResult | undefined> | CheckResult | undefined;
}

/** One line of a report. */
export interface Finding {
  readonly check: string;
  readonly level: 'ok' | ProblemLevel;
  readonly code: DoctorCode | 'OK';
  readonly found: string;
  /** What to do next; nothing where nothing is wrong. */
  readonly advice?: string;
}

/** A check's lines in the report. */
export function findingsOf(check: string, result: CheckResult): Finding[] {
  const { seen, problems = [] } = result;
  if (problems.length === 0) {
    return [{ check, level: 'ok', code: 'OK', found: seen }];
  }
  return problems.map(({ code, found }) => {
    const { level, advice } = DOCTOR_CODES[code];
    return { check, level, code, found, advice };
  });
}
