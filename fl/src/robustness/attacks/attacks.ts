// SPDX-License-Identifier: Apache-2.0
import { RobustnessError } from '../errors.js';
import { alie } from './alie.js';
import type { Attack } from './attack.js';
import { backdoorShot, backdoorSlow } from './backdoor.js';
import { fang } from './fang.js';
import { freeRiderNoise, freeRiderReplay, freeRiderZero } from './free-rider.js';
import { labelFlip } from './label-flip.js';
import { noisyValidator } from './noisy-validator.js';
import { rootAligned, rootAlignedNoisy } from './root-aligned.js';
import { gaussian, scaling, signFlip } from './scaling.js';
import { staleModel } from './stale-model.js';
import { colludingPair, sybil } from './sybil.js';

/** All attacks that vehicles and validators can be told to run, in the order of the tables. */
export const ATTACKS: readonly Attack[] = [
  labelFlip,
  signFlip,
  scaling,
  gaussian,
  alie,
  fang,
  backdoorShot,
  backdoorSlow,
  rootAligned,
  rootAlignedNoisy,
  freeRiderZero,
  freeRiderReplay,
  freeRiderNoise,
  sybil,
  colludingPair,
  staleModel,
  noisyValidator,
];

/** @throws RobustnessError ATTACK_UNKNOWN, which lists what is known. */
export function attackNamed(name: string): Attack {
  const attack = ATTACKS.find((known) => known.name === name);
  if (attack === undefined) {
    throw new RobustnessError(
      'ATTACK_UNKNOWN',
      `"${name}" is none of ${ATTACKS.map((known) => known.name).join(', ')}`,
    );
  }
  return attack;
}
