// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import {
  deriveSeed,
  directionNorm,
  encodeUnclipped,
  encodeUpdate,
  median,
  newRandom,
  quantiseDirection,
  seededRandom,
  toSigned,
  trainLocal,
  type Attack,
  type AttackContext,
  type Dataset,
} from '@sev/fl';
import type { AttackedOptions } from './rounds.js';

/** What those who take part in a round see. */
export interface Scene {
  readonly options: AttackedOptions;
  readonly attack: Attack | undefined;
  readonly hostile: readonly number[];
  readonly round: number;
  readonly base: Float32Array;
  /** Of earlier rounds. */
  readonly bases: readonly Float32Array[];
  readonly lastDirection: Int32Array | undefined;
}

/** Each validator's direction, trained from the base like a vehicle; a hostile validator is the first. */
export function validatorDirections(scene: Scene): readonly Int32Array[] {
  const { options, attack, base, round } = scene;
  return options.fleet.roots.map((data, validator) => {
    const train = trainerOf(options, round, `validator ${validator}`);
    const isHostile = attack?.role === 'validator' && validator === 0;
    return quantiseDirection(isHostile ? attack.update(contextOf(scene, 0, train, data)) : train(base, data));
  });
}

/** Vehicles of a validator, which send the direction that it committed to in place of an update. */
export interface SelfDealing {
  readonly validator: number;
  readonly vehicles: readonly number[];
  /** Norm of what they send, in multiples of the others' median. */
  readonly length: number;
  /** Norm of the noise that each adds so as not to be like the others, relative to the direction's. */
  readonly noise: number;
}

/** What every vehicle sends. @param directions that the validators have committed to; see {@link SelfDealing}. */
export function sendersUpdates(scene: Scene, directions: readonly Int32Array[]): readonly Uint32Array[] {
  const updates = trainedUpdates(scene);
  const { selfDealing, format, training } = scene.options;
  const direction = directions[selfDealing?.validator ?? 0];
  if (selfDealing === undefined || direction === undefined) {
    return updates;
  }
  const { vehicles, length, noise } = selfDealing;
  const others = updates.filter((_, vehicle) => !vehicles.includes(vehicle));
  const norm = (length * median(others.map((values) => directionNorm(toSigned(values))))) / 2 ** format.fractionBits;
  const deviation = (noise * directionNorm(direction)) / Math.sqrt(direction.length);
  return updates.map((update, vehicle) => {
    if (!vehicles.includes(vehicle)) {
      return update;
    }
    const random = newRandom(deriveSeed(training.seed, scene.round, vehicle, 'self-dealing'));
    const hidden = quantiseDirection(Float32Array.from(direction, (value) => value + deviation * random.normal()));
    const own = directionNorm(hidden);
    return encodeUnclipped(
      Float32Array.from(hidden, (value) => (value * norm) / own),
      format,
    );
  });
}

function trainedUpdates(scene: Scene): readonly Uint32Array[] {
  const { options, attack, hostile, base, round } = scene;
  const { fleet, training, format } = options;
  let honestOnes: readonly Float32Array[] | undefined;
  const colluders = (): readonly Float32Array[] =>
    (honestOnes ??= hostile.map((vehicle) => {
      const data = fleet.vehicles[vehicle];
      return data === undefined ? base : trainerOf(options, round, vehicle)(base, data);
    }));
  return fleet.vehicles.map((data, vehicle) => {
    const train = trainerOf(options, round, vehicle);
    const place = hostile.indexOf(vehicle);
    if (attack === undefined || place < 0) {
      const rounding = seededRandom(Buffer.from(hexOf(training.seed, round, vehicle, 'rounding'), 'hex'));
      return encodeUpdate(train(base, data), format, rounding);
    }
    return encodeUnclipped(attack.update({ ...contextOf(scene, place, train, data), colluders }), format);
  });
}

function contextOf(scene: Scene, place: number, train: AttackContext['train'], data: Dataset): AttackContext {
  const { options, round, base, bases, lastDirection } = scene;
  const { seed } = options.training;
  return {
    ...{ round, base, earlierBases: bases, data, train, place, lastDirection },
    colluders: () => [train(base, data)],
    random: newRandom(deriveSeed(seed, round, place, 'attack')),
    sharedRandom: () => newRandom(deriveSeed(seed, round, 'colluders')),
    ...{ rule: options.rule, clip: options.format.clip, trigger: options.trigger },
  };
}

function trainerOf({ layers, training }: AttackedOptions, round: number, who: number | string): AttackContext['train'] {
  return (base, data) => {
    const options = { ...training, seed: deriveSeed(training.seed, round, who) };
    return trainLocal(base, layers, data, options).map((value, i) => value - (base[i] ?? 0));
  };
}

export function hexOf(...labels: readonly (string | number)[]): string {
  return createHash('sha256')
    .update(JSON.stringify(['attacks', ...labels]))
    .digest('hex');
}
