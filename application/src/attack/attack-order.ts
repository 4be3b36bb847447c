// SPDX-License-Identifier: Apache-2.0
import { attackNamed, RobustnessError, type Attack } from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import type { PooledVehicle } from '../vehicle/messages.js';

/** Which vehicles of a program are to attack on purpose, and how. */
export interface AttackRequest {
  /** One of fl `ATTACKS`. */
  readonly name: string;
  /** Those that attack; default: all of the program. They collude: each knows the data of the others. */
  readonly vehicleIds?: readonly string[] | undefined;
  /** What hostile vehicles draw follows from it, in common or each by itself; default 0. */
  readonly seed?: number | undefined;
  /** First round in which they attack: before it they are honest; default 1. */
  readonly from?: number | undefined;
}

/** The same as workers are told it. */
export interface AttackOrder {
  readonly name: string;
  readonly seed: number;
  /** First round in which they attack; absent: 1. */
  readonly from?: number;
  /** Clients of the data plan that attack, in the order of their places among the colluders. */
  readonly clients: readonly number[];
}

/**
 * An attack that vehicles, or validators, can be told to run.
 *
 * @param role of who is told so; where it is left out either will do.
 * @throws SevError ATTACK_UNKNOWN, which lists what is known; ATTACK_UNSUITED where the other ones run it.
 */
export function knownAttack(name: string, role?: Attack['role']): Attack {
  const attack = attackIn(name);
  if (role !== undefined && attack.role !== role) {
    throw unsuited(`${name} is run by a ${attack.role}, not by a ${role}`);
  }
  return attack;
}

function attackIn(name: string): Attack {
  try {
    return attackNamed(name);
  } catch (error) {
    if (error instanceof RobustnessError) {
      throw new SevError(error.code, error.detail, {
        hint: '`sev attack list` says what each of them does.',
        exitCode: EXIT.usage,
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * What workers are told of an attack.
 *
 * @param vehicles of the program.
 * @throws SevError ATTACK_UNKNOWN, ATTACK_UNSUITED, VEHICLE_NOT_HERE
 */
export function attackOrder(request: AttackRequest, vehicles: readonly PooledVehicle[]): AttackOrder {
  const { name, seed = 0, from, vehicleIds = vehicles.map(({ vehicleId }) => vehicleId) } = request;
  knownAttack(name, 'vehicle');
  const stranger = vehicleIds.find((id) => !vehicles.some(({ vehicleId }) => vehicleId === id));
  if (stranger !== undefined) {
    throw new SevError('VEHICLE_NOT_HERE', `${stranger} is to attack, but is none of the vehicles that run here`, {
      hint: 'Name with --hostile only vehicles that the program runs.',
      exitCode: EXIT.usage,
    });
  }
  const hostile = vehicles.filter(({ vehicleId }) => vehicleIds.includes(vehicleId));
  return { name, seed, ...(from === undefined ? {} : { from }), clients: hostile.map(({ client }) => client) };
}

/** Something that an attack cannot be run in. */
export function unsuited(detail: string): SevError {
  return new SevError('ATTACK_UNSUITED', detail, { hint: '`sev attack list` names the others.', exitCode: EXIT.usage });
}
