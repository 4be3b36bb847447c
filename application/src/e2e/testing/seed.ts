// SPDX-License-Identifier: Apache-2.0
import { newRandom, type Random } from '@sev/fl';

/** True where long runs are asked for. */
export const FULL = process.env['SEV_TEST_FULL'] === '1';

/** A generator whose seed is printed, or taken from SEV_TEST_SEED to repeat a run. */
export function seededRandom(what: string): Random {
  const given = process.env['SEV_TEST_SEED'];
  const seed = given === undefined ? Date.now() % 0xffff_ffff : Number(given);
  console.log(`      ${what}: SEV_TEST_SEED=${seed}`);
  return newRandom(seed);
}
