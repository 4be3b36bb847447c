// SPDX-License-Identifier: Apache-2.0
import { DEPARTURES_SET_ASIDE, validatedBase } from '@sev/chaincode/api';
import { deriveSeed, lossMicro, newRandom, PRICE_LAYERS, withNoise, type CarTable } from '@sev/fl';
import { attackedRounds, take } from './rounds.js';
import { fleetOf, optionsOf, type AttackSplit } from './setting.js';

/** Losses that validators state, the first of them with noisy targets. Plain data. */
export interface ValidatorJob {
  readonly kind: 'validators';
  readonly split: AttackSplit;
  readonly vehicles: number;
  readonly rounds: number;
  readonly seed: number;
  /** Deviation of the noise on the first one's targets; 0 for none. */
  readonly noise: number;
}

export interface ValidatorResult {
  /** By round: each validator's loss on the model that the round begins with, which is what it signs; millionths. */
  readonly lossesMicro: readonly (readonly number[])[];
  /** Round, from 1 on, as which opens the noisy one departs for the second time; null for never. */
  readonly namedInRound: number | null;
  /** Validators without noise that departed twice. */
  readonly falselyNamed: number;
}

export function runValidatorJob(table: CarTable, job: ValidatorJob): ValidatorResult {
  const { split, vehicles, rounds, seed, noise } = job;
  const fleet = fleetOf(table, split, vehicles);
  const noisy = {
    ...fleet,
    roots: fleet.roots.map((data, i) =>
      i === 0 && noise > 0 ? withNoise(data, noise, newRandom(deriveSeed(seed, 'validator'))) : data,
    ),
  };
  const cell = { split, vehicles, attack: 'none', hostile: 0, rule: 'capped-trust', seed } as const;
  const lossesMicro = take(attackedRounds(optionsOf(cell, noisy)), rounds).map(({ base }) =>
    noisy.roots.map((data) => lossMicro(base, PRICE_LAYERS, data)),
  );
  const departed = lossesMicro.map(departuresFrom);
  const namedIn = noisy.roots.map((_, validator) => {
    const roundsApart = departed.flatMap((flags, round) => (flags[validator] === true ? [round + 1] : []));
    return roundsApart[DEPARTURES_SET_ASIDE - 1] ?? null;
  });
  return {
    lossesMicro,
    namedInRound: namedIn[0] ?? null,
    falselyNamed: namedIn.filter((round, validator) => round !== null && (validator > 0 || noise === 0)).length,
  };
}

/** As the contract judges them. */
function departuresFrom(lossesMicro: readonly number[]): boolean[] {
  const names = lossesMicro.map((_, validator) => String(validator));
  const { departed } = validatedBase(
    lossesMicro.map((loss, validator) => ({ mspId: names[validator] ?? '', lossMicro: loss })),
    names.length,
  );
  return names.map((name) => departed.includes(name));
}
