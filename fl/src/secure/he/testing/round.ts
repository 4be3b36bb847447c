// SPDX-License-Identifier: Apache-2.0
import type { RandomSource } from '../../random.js';
import { newSealingKey, type SealingKey } from '../../sealing.js';
import { contextOf } from '../../testing/setup.js';
import { HeKeyHolder } from '../key-holder.js';
import { HeMaskHolder, type HeldMask } from '../mask-holder.js';
import { openHeSum } from '../open.js';
import type { HeRange } from '../parameters.js';
import { createHeReport, sha256, type HeReport, type HeTerms } from '../report.js';
import type { HeRuntime } from '../runtime.js';
import { HeSummer } from '../summer.js';

/** All parties of one round and the reports of some vehicles. */
export interface HeRound {
  readonly runtime: HeRuntime;
  readonly terms: HeTerms;
  readonly keyHolder: HeKeyHolder;
  readonly sealingKey: SealingKey;
  readonly maskHolder: HeMaskHolder;
  readonly reports: ReadonlyMap<string, HeReport>;
  readonly masks: ReadonlyMap<string, HeldMask>;
}

export async function newHeRound(
  runtime: HeRuntime,
  o: {
    vectors: ReadonlyMap<string, ArrayLike<number>>;
    range: HeRange;
    random: RandomSource;
    minimumCohort?: number;
    round?: number;
  },
): Promise<HeRound> {
  const { minimumCohort = 1 } = o;
  const keyHolder = new HeKeyHolder(runtime);
  const handedIn = await newReports(runtime, { ...o, publicKey: keyHolder.publicKey });
  return { runtime, keyHolder, ...handedIn, maskHolder: newMaskHolder({ ...handedIn, minimumCohort }) };
}

/** The reports of some vehicles for a public key, and their masks as the mask holder opens them. */
export async function newReports(
  runtime: HeRuntime,
  o: {
    vectors: ReadonlyMap<string, ArrayLike<number>>;
    range: HeRange;
    random: RandomSource;
    publicKey: Uint8Array;
    round?: number;
  },
): Promise<Pick<HeRound, 'terms' | 'sealingKey' | 'reports' | 'masks'>> {
  const { vectors, range, random, publicKey, round = 1 } = o;
  const sealingKey = await newSealingKey();
  const terms: HeTerms = { keyHash: sha256(publicKey), length: [...vectors.values()][0]!.length, range };
  const maskHolder = newMaskHolder({ sealingKey, terms });
  const reports = new Map<string, HeReport>();
  const masks = new Map<string, HeldMask>();
  for (const [vehicle, values] of vectors) {
    const context = contextOf({ round, vehicle });
    const report = await createHeReport(runtime, {
      values,
      context,
      terms,
      publicKey,
      maskHolder: sealingKey.publicKey,
      random,
    });
    reports.set(vehicle, report);
    masks.set(vehicle, await maskHolder.accept(report.root, report));
  }
  return { terms, sealingKey, reports, masks };
}

/** A mask holder that has shown nothing yet. */
export function newMaskHolder(o: { sealingKey: SealingKey; terms: HeTerms; minimumCohort?: number }): HeMaskHolder {
  const { sealingKey, terms, minimumCohort = 1 } = o;
  return new HeMaskHolder({ privateKey: sealingKey.privateKey, terms, minimumCohort });
}

/** The summer's ciphertexts of a cohort. */
export function sumOf(
  round: Pick<HeRound, 'runtime' | 'terms' | 'reports'>,
  cohort: readonly string[],
): readonly Uint8Array[] {
  const summer = new HeSummer(round.runtime, round.terms, cohort);
  try {
    for (const vehicle of cohort) {
      const report = round.reports.get(vehicle)!;
      summer.add(vehicle, report.root, report);
    }
    return summer.sum();
  } finally {
    summer.close();
  }
}

/** From the cohort to the result, as the parties do it. */
export function openCohort(round: HeRound, cohort: readonly string[]): number[] {
  const masked = round.keyHolder.decrypt(sumOf(round, cohort));
  const masks = round.maskHolder.sum(cohort, round.masks);
  return Array.from(openHeSum({ terms: round.terms, masked, masks }));
}
