// SPDX-License-Identifier: Apache-2.0
import type { AggregationRuleName } from '../../aggregation/rules.js';
import type { Dataset } from '../../data/dataset.js';
import type { Random } from '../../random.js';
import type { WeightRuleName } from '../weights/rules.js';

/** What a backdoor teaches: rows with this input set get a target that is off by the shift. */
export interface Trigger {
  /** Index of an input that is 0 or 1. */
  readonly feature: number;
  /** On the scale of the target. */
  readonly shift: number;
}

/** What a hostile vehicle knows and can do in one round. All updates have length d. */
export interface AttackContext {
  /** From 1 on. */
  readonly round: number;
  readonly base: Float32Array;
  /** Models of earlier rounds, oldest first; public. The change of the model in the last round follows. */
  readonly earlierBases: readonly Float32Array[];
  readonly data: Dataset;
  /** Trains like an honest vehicle. @returns the update, not clipped. */
  readonly train: (base: Float32Array, data: Dataset) => Float32Array;
  /** Honest updates of all colluders, the vehicle's own among them; trained when asked for, once. */
  readonly colluders: () => readonly Float32Array[];
  /** The vehicle's place among the colluders. */
  readonly place: number;
  /** Its own randomness. */
  readonly random: Random;
  /** A fresh generator that gives all colluders the same numbers in a round. */
  readonly sharedRandom: () => Random;
  /** Reference direction of the round before, which was shown after it closed. */
  readonly lastDirection?: Int32Array | undefined;
  /** How the task weighs vehicles; public. */
  readonly rule: WeightRuleName | AggregationRuleName;
  /** The clip C; public. */
  readonly clip: number;
  readonly trigger: Trigger;
}

/** Something that a hostile vehicle, or validator, does instead of its part. One a file, or a family a file. */
export interface Attack {
  readonly name: string;
  /** One line. */
  readonly description: string;
  /** What the attacker needs to know beyond the public. */
  readonly knows: string;
  /** A noisy validator is none of the vehicles. */
  readonly role: 'vehicle' | 'validator';
  /** What is sent in place of the honest update, not clipped; for a validator, what its direction is made from. */
  update(context: AttackContext): Float32Array;
}
