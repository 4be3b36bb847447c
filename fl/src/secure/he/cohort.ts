// SPDX-License-Identifier: Apache-2.0
import { HeError } from './errors.js';

/** Which vehicles of a fixed cohort have been counted. */
export class Cohort {
  readonly #vehicles: ReadonlySet<string>;
  readonly #counted = new Set<string>();

  /** @throws HeError COHORT_MISMATCH where a vehicle is named twice or none is. */
  constructor(vehicles: readonly string[]) {
    this.#vehicles = new Set(vehicles);
    if (this.#vehicles.size !== vehicles.length || vehicles.length === 0) {
      throw new HeError('COHORT_MISMATCH', 'a cohort names one vehicle or more, each once');
    }
  }

  /** @throws HeError COHORT_MISMATCH where it is not of the cohort or was counted before. */
  checkAwaited(vehicle: string): void {
    if (!this.#vehicles.has(vehicle) || this.#counted.has(vehicle)) {
      throw new HeError('COHORT_MISMATCH', `${vehicle} is not of the cohort, or was counted before`);
    }
  }

  count(vehicle: string): void {
    this.#counted.add(vehicle);
  }

  /** @throws HeError COHORT_MISMATCH */
  checkComplete(): void {
    const missing = this.#vehicles.size - this.#counted.size;
    if (missing > 0) {
      throw new HeError('COHORT_MISMATCH', `${missing} reports of the cohort are missing`);
    }
  }
}
