// SPDX-License-Identifier: Apache-2.0
import { hostileVehicles } from '@sev/fl';
import { knownAttack } from '../attack/attack-order.js';
import { EXIT, SevError } from '../errors.js';
import type { Report } from '../report/report.js';
import type { RunPlan } from './plan.js';

/** Share of the vehicles that are hostile where nothing else is said. */
const DEFAULT_HOSTILE = 0.2;

/**
 * What a run keeps of an attack.
 *
 * @param hostile share of the vehicles below 1, or their number from 1 on.
 * @throws SevError ATTACK_UNKNOWN, ATTACK_UNSUITED, HOSTILE_TOO_MANY
 */
export function plannedAttack(
  name: string,
  vehicles: number,
  hostile = DEFAULT_HOSTILE,
): NonNullable<RunPlan['attack']> {
  knownAttack(name, 'vehicle');
  const count = hostile < 1 ? Math.max(1, Math.round(hostile * vehicles)) : hostile;
  if (count > vehicles) {
    throw new SevError('HOSTILE_TOO_MANY', `${String(count)} of ${String(vehicles)} vehicles cannot be hostile`, {
      hint: 'Give --hostile a share below 1, or a number of vehicles.',
      exitCode: EXIT.usage,
    });
  }
  return { name, hostile: count };
}

/** Who attacks in a run: clients drawn by its seed. Undefined where nobody does. */
export function hostileOf({ attack, seed, vehicles, vehicleIds }: RunPlan): Report['hostile'] {
  if (attack === undefined) {
    return undefined;
  }
  const ids = hostileVehicles(seed, attack.hostile, vehicles).flatMap((client) => vehicleIds[client] ?? []);
  return { attack: attack.name, share: ids.length / vehicles, vehicles: ids };
}

/** How `sev vehicle run` is told which of its vehicles attack. */
export function attackArguments(plan: RunPlan): string[] {
  const hostile = hostileOf(plan);
  return hostile === undefined
    ? []
    : [
        ...['--attack', hostile.attack, '--attack-seed', String(plan.seed)],
        ...hostile.vehicles.flatMap((id) => ['--hostile', id]),
      ];
}
