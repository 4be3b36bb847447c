// SPDX-License-Identifier: Apache-2.0
import { authoritiesCheck } from './checks/authorities.js';
import { backgroundCheck } from './checks/background.js';
import { certificatesCheck, walletsCheck } from './checks/certificates.js';
import { chaincodeCheck } from './checks/chaincode.js';
import { clockCheck } from './checks/clock.js';
import { heightsCheck } from './checks/heights.js';
import { keysCheck } from './checks/keys.js';
import { ledgersCheck } from './checks/ledgers.js';
import { machineChecks } from './checks/machine.js';
import { nodesCheck } from './checks/nodes.js';
import { orderingCheck } from './checks/ordering.js';
import { portsCheck } from './checks/ports.js';
import { profileCheck } from './checks/profile.js';
import { programsCheck } from './checks/programs.js';
import { stateChecks } from './checks/state.js';
import { gatherFacts, type DoctorOptions, type Facts, type Running } from './facts.js';
import { findingsOf, type Check, type Finding } from './finding.js';

/** In the order of the report: causes before what follows from them. */
const CHECKS: readonly Check[] = [
  ...machineChecks,
  clockCheck,
  programsCheck,
  ...stateChecks,
  profileCheck,
  portsCheck,
  keysCheck,
  certificatesCheck,
  walletsCheck,
  ledgersCheck,
  backgroundCheck,
  nodesCheck,
  authoritiesCheck,
  orderingCheck,
  heightsCheck,
  chaincodeCheck,
];

/** What doctor found. */
export interface DoctorReport {
  readonly home: string;
  readonly kind: 'embedded' | 'fabric';
  readonly running: Running;
  /** Whether nothing is wrong that keeps something from working. */
  readonly ok: boolean;
  readonly errors: number;
  readonly warnings: number;
  readonly findings: readonly Finding[];
}

async function carryOut(check: Check, facts: Facts): Promise<Finding[]> {
  try {
    const result = await check.run(facts);
    return result === undefined ? [] : findingsOf(check.name, result);
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    return findingsOf(check.name, { seen: '', problems: [{ code: 'CHECK_FAILED', found }] });
  }
}

/** Carries out every check on what is known. */
export async function diagnose(facts: Facts): Promise<DoctorReport> {
  const findings = (await Promise.all(CHECKS.map((check) => carryOut(check, facts)))).flat();
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  return {
    home: facts.paths.home,
    kind: facts.kind,
    running: facts.running,
    ok: count('error') === 0,
    errors: count('error'),
    warnings: count('warning'),
    findings,
  };
}

/**
 * Looks for the usual causes of failures: with the network up, down, half up or never started. Changes nothing, and does
 * not fail for what it finds: that is in the report.
 */
export async function networkDoctor(options: DoctorOptions = {}): Promise<DoctorReport> {
  return diagnose(await gatherFacts(options));
}
