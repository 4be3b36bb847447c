// SPDX-License-Identifier: Apache-2.0
import type { Dataset } from './dataset.js';
import { fnv1a } from './fnv.js';

/** Fills the inputs of a data set row by row, feature by feature; values are rounded to float32. */
export class FeatureWriter {
  readonly #features: number;
  readonly #x: Float32Array;
  readonly #y: Float32Array;
  #rowScale: Float32Array | undefined;
  #at = 0;
  #rows = 0;

  constructor(rows: number, features: number) {
    this.#features = features;
    this.#x = new Float32Array(rows * features);
    this.#y = new Float32Array(rows);
  }

  number(...values: readonly number[]): void {
    for (const value of values) {
      this.#x[this.#at++] = value;
    }
  }

  flag(value: boolean): void {
    this.number(value ? 1 : 0);
  }

  /** Two features: (value − centre) / scale and 0, or 0 and 1 where the value is missing. */
  quantity(value: number | undefined, { centre, scale }: Scaling): void {
    this.number(value === undefined ? 0 : (value - centre) / scale, value === undefined ? 1 : 0);
  }

  /** One feature for each category, all 0 for a value that is none of them. */
  oneHot<T>(categories: readonly T[], ...values: readonly T[]): void {
    for (const category of categories) {
      this.flag(values.includes(category));
    }
  }

  /** One feature for each of `width` places, all 0 for none. */
  place(place: number | undefined, width: number): void {
    if (place !== undefined) {
      this.#x[this.#at + place] = 1;
    }
    this.#at += width;
  }

  /** Each token sets bucket FNV-1a(token) mod `buckets` to 1. */
  buckets(tokens: readonly string[], buckets: number): void {
    for (const token of tokens) {
      this.#x[this.#at + (fnv1a(token) % buckets)] = 1;
    }
    this.#at += buckets;
  }

  /** Ends a row with its scaled target. @param rowScale what the target is relative to, in all rows or in none. */
  endRow(target: number, rowScale?: number): void {
    this.#y[this.#rows] = rowScale === undefined ? target : target / rowScale;
    if (rowScale !== undefined) {
      this.#rowScale ??= new Float32Array(this.#y.length);
      this.#rowScale[this.#rows] = rowScale;
    }
    this.#rows += 1;
    if (this.#at !== this.#rows * this.#features) {
      throw new RangeError(`Row ${String(this.#rows)} ends after another number of features`);
    }
  }

  dataset(): Dataset {
    const data = { features: this.#features, rows: this.#rows, x: this.#x, y: this.#y };
    return this.#rowScale === undefined ? data : { ...data, rowScale: this.#rowScale };
  }
}

/** How a number is brought near 0 ± 1: public constants, not taken from any data. */
export interface Scaling {
  readonly centre: number;
  readonly scale: number;
}

/** Lower-cased words of a text. */
export function tokensOf(text: string): readonly string[] {
  return text.toLowerCase().split(/\s+/);
}
