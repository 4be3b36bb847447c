// SPDX-License-Identifier: Apache-2.0
import { inHome } from '../config/homes.js';
import { removeLeftovers } from '../store/files.js';

/** Removes what killed writers left half-written of the keys and certificates of a vehicle home. */
export async function sweepVehicleKeys(home: string): Promise<void> {
  await Promise.all([inHome.vehicles(home), inHome.wallet(home), inHome.nextKeys(home)].map(removeLeftovers));
}
