// SPDX-License-Identifier: Apache-2.0
import type { CipherText } from 'node-seal/implementation/cipher-text.js';
import type { Evaluator } from 'node-seal/implementation/evaluator.js';
import { Cohort } from './cohort.js';
import { HeError } from './errors.js';
import { checkHeRange } from './parameters.js';
import { checkHeader, ciphertextsOf, sha256, type HeReport, type HeTerms } from './report.js';
import { withScope, type HeRuntime } from './runtime.js';

/**
 * Adds the ciphertexts of the fixed cohort, one report at a time: memory does not grow with the cohort. Has no key.
 */
export class HeSummer {
  readonly #runtime: HeRuntime;
  readonly #terms: HeTerms;
  readonly #cohort: Cohort;
  readonly #evaluator: Evaluator;
  #sums: readonly CipherText[] = [];
  #isClosed = false;

  /**
   * @param cohort ids of the vehicles, each once.
   * @throws HeError TOO_MANY_VEHICLES, SUM_MAY_WRAP, COHORT_MISMATCH
   */
  constructor(runtime: HeRuntime, terms: HeTerms, cohort: readonly string[]) {
    checkHeRange({ ...terms.range, vehicles: Math.max(cohort.length, terms.range.vehicles) }, runtime.parameters);
    this.#runtime = runtime;
    this.#terms = terms;
    this.#cohort = new Cohort(cohort);
    this.#evaluator = runtime.seal.Evaluator(runtime.context);
  }

  /**
   * Checks that a report can be summed, before the cohort is fixed: whoever fails here is left out of it.
   *
   * @param root what the vehicle signed.
   * @throws HeError REPORT_MISMATCH, KEY_MISMATCH, CIPHERTEXT_MALFORMED
   */
  static check(
    runtime: HeRuntime,
    terms: HeTerms,
    root: string,
    report: Pick<HeReport, 'header' | 'ciphertexts'>,
  ): void {
    checkReport(runtime, terms, root, report);
    withScope((own) => {
      const ciphertext = own(runtime.seal.CipherText());
      report.ciphertexts.forEach((bytes) => {
        runtime.loadCiphertext(bytes, ciphertext);
      });
    });
  }

  /**
   * @throws HeError COHORT_MISMATCH, REPORT_MISMATCH, KEY_MISMATCH, CIPHERTEXT_MALFORMED, PARTY_CLOSED; the sum is then as
   *   before.
   */
  add(vehicle: string, root: string, report: Pick<HeReport, 'header' | 'ciphertexts'>): void {
    this.#checkOpen();
    const { seal } = this.#runtime;
    checkReport(this.#runtime, this.#terms, root, report);
    this.#cohort.checkAwaited(vehicle);
    const ciphertexts = report.ciphertexts.map(() => seal.CipherText());
    try {
      ciphertexts.forEach((ciphertext, index) => {
        this.#runtime.loadCiphertext(report.ciphertexts[index] ?? new Uint8Array(), ciphertext);
      });
    } catch (error) {
      free(ciphertexts);
      throw error;
    }
    this.#cohort.count(vehicle);
    if (this.#sums.length === 0) {
      this.#sums = ciphertexts;
      return;
    }
    this.#sums.forEach((sum, index) => {
      const ciphertext = ciphertexts[index];
      if (ciphertext !== undefined) {
        this.#evaluator.add(sum, ciphertext, sum);
      }
    });
    free(ciphertexts);
  }

  /** @returns the sum's ciphertexts, for the key holder. @throws HeError COHORT_MISMATCH, PARTY_CLOSED */
  sum(): readonly Uint8Array[] {
    this.#checkOpen();
    this.#cohort.checkComplete();
    return this.#sums.map((ciphertext) => this.#runtime.saveCiphertext(ciphertext));
  }

  /** Frees its WebAssembly memory. */
  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      free(this.#sums);
      this.#evaluator.delete();
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) {
      throw new HeError('PARTY_CLOSED', 'the summer is closed');
    }
  }
}

function checkReport(
  runtime: HeRuntime,
  terms: HeTerms,
  root: string,
  { header, ciphertexts }: Pick<HeReport, 'header' | 'ciphertexts'>,
): void {
  checkHeader(header, root, terms, ciphertextsOf(terms, runtime));
  if (
    ciphertexts.length !== header.ciphertextHashes.length ||
    ciphertexts.some((bytes, index) => sha256(bytes) !== header.ciphertextHashes[index])
  ) {
    throw new HeError('REPORT_MISMATCH', 'the ciphertexts are not those that the vehicle signed');
  }
}

function free(ciphertexts: readonly CipherText[]): void {
  ciphertexts.forEach((ciphertext) => {
    ciphertext.delete();
  });
}
