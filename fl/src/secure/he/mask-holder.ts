// SPDX-License-Identifier: Apache-2.0
import { unseal } from '../sealing.js';
import { Cohort } from './cohort.js';
import { HeError } from './errors.js';
import { expandMask, maskCommitment } from './masks.js';
import { HE_PARAMETERS, type HeParameters } from './parameters.js';
import { checkHeader, ciphertextsOf, sealedSeedData, type HeReport, type HeTerms } from './report.js';
import { addSlots, type Slots } from './slots.js';

/** A mask seed, checked against what the vehicle signed. Secret; 32 bytes to keep for each vehicle. */
export interface HeldMask {
  readonly context: string;
  readonly seed: Uint8Array;
}

/**
 * Learns masks only. Adds those of the fixed cohort and shows the sum, of one cohort, once. Needs no WebAssembly, and may
 * be restarted from the seeds on its disk.
 */
export class HeMaskHolder {
  readonly #privateKey: Uint8Array;
  readonly #terms: HeTerms;
  readonly #parameters: HeParameters;
  readonly #minimumCohort: number;
  #opened: string | undefined;

  /**
   * @param o.privateKey of its sealing key, PKCS#8.
   * @param o.minimumCohort fewer vehicles than this are never summed.
   */
  constructor(o: {
    readonly privateKey: Uint8Array;
    readonly terms: HeTerms;
    readonly minimumCohort: number;
    readonly parameters?: HeParameters;
  }) {
    this.#privateKey = o.privateKey;
    this.#terms = o.terms;
    this.#minimumCohort = o.minimumCohort;
    this.#parameters = o.parameters ?? HE_PARAMETERS;
  }

  /**
   * Opens a vehicle's seed; whoever fails here is left out of the cohort.
   *
   * @param root what the vehicle signed.
   * @throws SecureError SHARE_UNREADABLE; HeError REPORT_MISMATCH, KEY_MISMATCH, MASK_MISMATCH
   */
  async accept(root: string, report: Pick<HeReport, 'header' | 'sealedSeed'>): Promise<HeldMask> {
    const { header, sealedSeed } = report;
    checkHeader(header, root, this.#terms, this.#ciphertexts);
    const { context } = header;
    const seed = await unseal(this.#privateKey, sealedSeed, sealedSeedData(context, root));
    if (maskCommitment(seed, context) !== header.maskCommitment) {
      throw new HeError('MASK_MISMATCH', 'the vehicle sealed another seed than it committed to');
    }
    return { context, seed };
  }

  /**
   * The sum of the cohort's masks; the same cohort again gives the same sum. Together with the decrypted sum it opens the
   * result, so it is shown only when the cohort is final on the ledger.
   *
   * @param cohort ids of the vehicles, each once.
   * @param masks of each vehicle of the cohort, and maybe of others.
   * @returns by slot, modulo t.
   * @throws HeError COHORT_TOO_SMALL, COHORT_MISMATCH, ALREADY_OPENED for a second cohort
   */
  sum(cohort: readonly string[], masks: ReadonlyMap<string, HeldMask>): readonly Slots[] {
    const counted = new Cohort(cohort);
    if (cohort.length < this.#minimumCohort) {
      throw new HeError('COHORT_TOO_SMALL', `${cohort.length} vehicles, at least ${this.#minimumCohort} needed`);
    }
    const name = JSON.stringify([...cohort].sort());
    if (this.#opened !== undefined && this.#opened !== name) {
      throw new HeError('ALREADY_OPENED', 'the masks of another cohort were shown');
    }
    const sums = Array.from(
      { length: this.#ciphertexts },
      (): Slots => new Float64Array(this.#parameters.polynomialDegree),
    );
    for (const vehicle of cohort) {
      const mask = masks.get(vehicle);
      if (mask !== undefined) {
        addSlots(sums, expandMask(mask.seed, mask.context, sums.length, this.#parameters), this.#parameters);
        counted.count(vehicle);
      }
    }
    counted.checkComplete();
    this.#opened = name;
    return sums;
  }

  get #ciphertexts(): number {
    return ciphertextsOf(this.#terms, { parameters: this.#parameters });
  }
}
