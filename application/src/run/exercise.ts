// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { attackNamed, deriveSeed, hostileVehicles, newRandom } from '@sev/fl';
import { knownAttack, unsuited } from '../attack/attack-order.js';
import { EXIT, SevError } from '../errors.js';
import type { Report } from '../report/report.js';
import type { RunPlan } from './plan.js';
import { COORDINATOR_ORG } from './secure-terms.js';

/** Share of the vehicles that are hostile where nothing else is said. */
const DEFAULT_HOSTILE = 0.2;

/**
 * What a run keeps of an attack.
 *
 * @param hostile share of the vehicles below 1, or their number from 1 on; of validators it is one.
 * @param from first round in which vehicles attack; default 1.
 * @throws SevError ATTACK_UNKNOWN, HOSTILE_TOO_MANY
 */
export function plannedAttack(
  name: string,
  vehicles: number,
  hostile = DEFAULT_HOSTILE,
  from?: number,
): NonNullable<RunPlan['attack']> {
  const { role } = knownAttack(name);
  const most = role === 'vehicle' ? vehicles : 1;
  const count = hostile < 1 ? Math.max(1, Math.round(hostile * most)) : hostile;
  if (count > most) {
    const detail = role === 'vehicle' ? `${String(count)} of ${String(vehicles)} vehicles` : 'more than one validator';
    throw new SevError('HOSTILE_TOO_MANY', `${detail} cannot be hostile`, {
      hint: 'Give --hostile a share below 1, or a smaller number.',
      exitCode: EXIT.usage,
    });
  }
  if (from !== undefined && role !== 'vehicle') {
    throw unsuited(`${name} is run by a validator, in all rounds`);
  }
  return { name, hostile: count, ...(from === undefined ? {} : { from }) };
}

/**
 * Who attacks in a run, drawn by its seed: of the vehicles, or of the organisations whose attesters validate. Undefined where
 * nobody does.
 *
 * @param organisations names of all that the network has.
 */
export function hostileOf(plan: RunPlan, organisations: readonly string[]): Report['hostile'] {
  const { attack, seed, vehicles, vehicleIds } = plan;
  if (attack === undefined) {
    return undefined;
  }
  const { from = 1 } = attack;
  if (attackNamed(attack.name).role === 'vehicle') {
    const ids = hostileVehicles(seed, attack.hostile, vehicles).flatMap((client) => vehicleIds[client] ?? []);
    return { attack: attack.name, share: ids.length / vehicles, vehicles: ids, from };
  }
  const others = organisations.filter((name) => name !== COORDINATOR_ORG);
  const drawn = others[newRandom(deriveSeed(seed, 'hostile')).below(others.length)];
  const validators = drawn === undefined ? [] : [drawn];
  return { attack: attack.name, share: validators.length / organisations.length, vehicles: [], validators, from };
}

/** @throws SevError ATTACK_UNSUITED where a validator is to attack, and the task has none. */
export function insistOnValidators(hostile: Report['hostile'], { taskId, secure }: Task): void {
  if (hostile?.validators !== undefined && secure?.validation === undefined) {
    throw unsuited(`${hostile.attack} is run by a validator, and task ${taskId} has none`);
  }
}

/** How `sev vehicle run` is told which of its vehicles attack. */
export function vehicleAttackArguments(hostile: Report['hostile'], plan: RunPlan): string[] {
  return hostile === undefined || hostile.vehicles.length === 0
    ? []
    : [
        ...attackArguments(hostile.attack, plan),
        ...fromArguments(plan),
        ...hostile.vehicles.flatMap((id) => ['--hostile', id]),
      ];
}

/** How `sev attester run` of an organisation is told that it validates wrongly. */
export function attesterAttackArguments(hostile: Report['hostile'], plan: RunPlan, name: string): string[] {
  return hostile?.validators?.includes(name) === true ? attackArguments(hostile.attack, plan) : [];
}

function fromArguments({ attack }: RunPlan): string[] {
  return attack?.from === undefined ? [] : ['--attack-from', String(attack.from)];
}

function attackArguments(attack: string, { seed }: RunPlan): string[] {
  return ['--attack', attack, '--attack-seed', String(seed)];
}
