// SPDX-License-Identifier: Apache-2.0
import { signingKey } from '../identities';
import { itemOf, submitItems } from './attempt';
import { refusalsOf, type SybilGround } from './ground';

/** What an organisation got in that has a maker's secret: by design up to its quota, and no more. */
export interface SpentSecret {
  readonly tried: number;
  readonly quota: number;
  readonly gotIn: number;
  readonly refused: Readonly<Record<string, number>>;
}

const BATCH = 50;

/**
 * Enrols cars that do not exist in one organisation, with attestations that hold: the maker, or whoever has its keys,
 * attests whatever it likes. Tries each slot up to `attempts`, in a domain where the organisation holds no vehicle.
 *
 * @param ground - with the policy that is in force.
 */
export async function spendMakerSecret(ground: SybilGround, mspId: string, attempts: number): Promise<SpentSecret> {
  const domain = 'sharing';
  const refused: Record<string, number> = {};
  for (let from = 0; from < attempts; from += BATCH) {
    const count = Math.min(BATCH, attempts - from);
    const items = await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const item = await itemOf(ground, ground.port.newCar(), { mspId, domain, key: signingKey() });
        return { ...item, quotaSlot: from + i };
      }),
    );
    for (const code of await refusalsOf(submitItems(ground, mspId, items, { domain }))) {
      refused[code] = (refused[code] ?? 0) + 1;
    }
  }
  const vehicles = await ground.port.vehicles();
  const gotIn = vehicles.filter((vehicle) => vehicle.domain === domain && vehicle.mspId === mspId).length;
  return { tried: attempts, quota: ground.policy.vehicleQuota, gotIn, refused };
}
