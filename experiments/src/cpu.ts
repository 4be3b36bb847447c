// SPDX-License-Identifier: Apache-2.0

/** Processor time of this process so far, all threads, in ms. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
