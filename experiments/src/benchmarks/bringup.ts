// SPDX-License-Identifier: Apache-2.0
import type { Benchmark, Figure } from '../figure.js';
import type { Sandbox } from '../sandbox.js';
import { lower, networkMemory } from './native.js';

const VEHICLES = 1_000;

/** @param upMs how long `sev network up` took: from nothing to the consortium's first transaction, bootstrap, committed */
export async function networkStart(networkHome: string, upMs: number): Promise<readonly Figure[]> {
  return [
    lower('network-up', upMs / 1000, 's', 10, 'from nothing to the first committed transaction, on an idle machine'),
    lower(
      'network-memory-fresh',
      await networkMemory(networkHome),
      'MB',
      1_300,
      'resident, all processes of the network',
    ),
  ];
}

export async function networkEnd(sandbox: Sandbox): Promise<readonly Figure[]> {
  const memory = await networkMemory(sandbox.networkHome);
  const started = performance.now();
  await sandbox.sev(['network', 'down']);
  const seconds = (performance.now() - started) / 1000;
  return [
    lower('network-memory-after-load', memory, 'MB', null, 'the same after all that was measured'),
    lower('network-down', seconds, 's', 2, 'the command as typed'),
  ];
}

/** Enrolment of a fleet through the real CA, its registrations and the ledger's records. */
export const enrolment: Benchmark = {
  name: 'enrolment',
  run: async ({ sev }) => {
    const started = performance.now();
    await sev(['vehicle', 'enroll', '--count', VEHICLES.toString()]);
    const seconds = (performance.now() - started) / 1000;
    return [lower('enrol-1000', seconds, 's', 240, `${VEHICLES} vehicles: CA, maker's attestation, ledger`)];
  },
};
