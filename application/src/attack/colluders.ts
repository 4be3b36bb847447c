// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { deriveSeed, newRandom, trainLocal, type AttackContext, type Dataset, type Trigger } from '@sev/fl';
import { heFormatOf } from '../homomorphic/he-task.js';
import { attemptKey } from '../services/attempt.js';
import { trainingOf } from '../services/model-spec.js';
import { formatOf } from '../services/secure-scores.js';
import { trainingSeed } from '../vehicle/data.js';
import type { TrainingOrder } from '../vehicle/messages.js';
import { knownAttack, unsuited, type AttackOrder } from './attack-order.js';

/**
 * Hostile vehicles that act in concert: each has the data of all, and so can train what any of them would have sent. Every
 * worker that runs one of them has a copy, and all copies come to the same numbers.
 */
export class Colluders {
  readonly #order: AttackOrder;
  /** In the order of their places. */
  readonly #data: readonly Dataset[];
  readonly #trigger: Trigger;
  #honest: { readonly attempt: string; readonly updates: readonly Float32Array[] } | undefined;

  /** @param data of each of the order's clients. */
  constructor(order: AttackOrder, data: readonly Dataset[]) {
    this.#order = order;
    this.#data = data;
    this.#trigger = triggerIn(data);
  }

  includes(client: number): boolean {
    return this.#order.clients.includes(client);
  }

  /** Whether they have begun to attack; until then they are honest. */
  attackIn(round: number): boolean {
    return round >= (this.#order.from ?? 1);
  }

  /**
   * What one of them sends in place of its honest update.
   *
   * @param client one of the order's.
   * @returns length d, not clipped.
   * @throws SevError ATTACK_UNSUITED; ModelError TRAINING_DIVERGED.
   */
  update(client: number, training: TrainingOrder): Float32Array {
    const { task } = training;
    const place = this.#order.clients.indexOf(client);
    const data = this.#data[place];
    if (data === undefined) {
      throw new RangeError(`client ${String(client)} is none of the colluders`);
    }
    if (task.engine !== 'dense' || task.kind === 'statistics') {
      throw unsuited(`vehicles attack tasks that train with engine dense; ${task.taskId} does not`);
    }
    return knownAttack(this.#order.name, 'vehicle').update(this.#contextOf(training, place, data));
  }

  #contextOf(training: TrainingOrder, place: number, data: Dataset): AttackContext {
    const { task, round, parameters, earlier } = training;
    const { seed, clients } = this.#order;
    return {
      round: round.round,
      base: parameters,
      earlierBases: earlier?.bases ?? [],
      lastDirection: earlier?.lastDirection,
      place,
      data,
      train: (base, rows) => honestUpdate(training, clients[place] ?? 0, base, rows),
      colluders: () => this.#honestUpdates(training),
      random: newRandom(deriveSeed(seed, task.taskId, round.round, place)),
      sharedRandom: () => newRandom(deriveSeed(seed, task.taskId, round.round, 'colluders')),
      rule: task.secure?.rule ?? task.aggregation.rule,
      clip: clipOf(task),
      trigger: this.#trigger,
    };
  }

  #honestUpdates(training: TrainingOrder): readonly Float32Array[] {
    const attempt = `${attemptKey(training.round)}/${training.round.baseModelHash}`;
    if (this.#honest?.attempt !== attempt) {
      const updates = this.#data.map((data, place) =>
        honestUpdate(training, this.#order.clients[place] ?? 0, training.parameters, data),
      );
      this.#honest = { attempt, updates };
    }
    return this.#honest.updates;
  }
}

/** What the vehicle would have sent, before it is clipped. */
function honestUpdate({ task, round }: TrainingOrder, client: number, base: Float32Array, data: Dataset): Float32Array {
  const options = trainingOf(task, trainingSeed(task.training.seed, round.round, client));
  return trainLocal(base, task.model.layers, data, options).map((value, index) => value - (base[index] ?? 0));
}

/** In mode plain nothing is clipped. */
function clipOf(task: Task): number {
  const format = task.secure !== undefined ? formatOf(task) : task.he !== undefined ? heFormatOf(task) : undefined;
  return format?.clip ?? Number.POSITIVE_INFINITY;
}

/**
 * What a backdoor is set by, from the colluders' rows alone: of the inputs that are 0 or 1, the one that is 1 least often but
 * not never; the target is shifted by its deviation.
 */
function triggerIn(data: readonly Dataset[]): Trigger {
  const targets = data.flatMap(({ y }) => [...y]);
  const mean = targets.reduce((sum, y) => sum + y, 0) / targets.length;
  const shift = Math.sqrt(targets.reduce((sum, y) => sum + (y - mean) ** 2, 0) / targets.length);
  const width = data[0]?.features ?? 0;
  const counts = Array.from({ length: width }, (_, feature) => onesIn(data, feature));
  const fewest = Math.min(...counts.filter((count) => count > 0));
  return { feature: Math.max(0, counts.indexOf(fewest)), shift };
}

/** How often an input is 1; 0 where it is ever anything but 0 or 1. */
function onesIn(data: readonly Dataset[], feature: number): number {
  let ones = 0;
  for (const { x, features } of data) {
    for (let at = feature; at < x.length; at += features) {
      if (x[at] !== 0 && x[at] !== 1) {
        return 0;
      }
      ones += x[at] ?? 0;
    }
  }
  return ones;
}
