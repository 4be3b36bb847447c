// SPDX-License-Identifier: Apache-2.0
import { DataError } from '../../errors.js';

interface NumberRange {
  readonly low?: number;
  readonly high?: number;
  readonly whole?: boolean;
  readonly fallback?: number;
}

/** The fields of one object of a schema. Every refusal is a DataError DATA_SCHEMA_INVALID that names the field. */
export class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;

  /** @param known the fields that there may be; any where not given. */
  constructor(value: unknown, path: string, known?: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(path, 'must be an object');
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#path = path;
    for (const name of Object.keys(value)) {
      if (known?.includes(name) === false) {
        throw this.invalid(name, `is unknown here; known are ${known.join(', ')}`);
      }
    }
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined;
  }

  /** The field as it is. */
  value(name: string): unknown {
    return this.#fields[name];
  }

  text(name: string, fallback?: string): string {
    const value = this.#fields[name] ?? fallback;
    if (typeof value !== 'string' || value === '') {
      throw this.invalid(name, 'must be a text');
    }
    return value;
  }

  number(name: string, { low = -1e15, high = 1e15, whole = false, fallback }: NumberRange = {}): number {
    const value = this.#fields[name] ?? fallback;
    if (typeof value !== 'number' || !(value >= low && value <= high) || (whole && !Number.isInteger(value))) {
      const kind = whole ? 'a whole number' : 'a number';
      throw this.invalid(name, `must be ${kind} from ${String(low)} to ${String(high)}`);
    }
    return value;
  }

  oneOf<T extends string>(name: string, known: readonly T[], fallback?: T): T {
    const value = this.#fields[name] ?? fallback;
    const found = known.find((candidate) => candidate === value);
    if (found === undefined) {
      throw this.invalid(name, `must be one of ${known.join(', ')}`);
    }
    return found;
  }

  /** Texts without repetition. */
  texts(name: string, fallback?: readonly string[]): readonly string[] {
    const texts = this.list(name, fallback).map((value, index) => {
      if (typeof value !== 'string') {
        throw this.invalid(`${name}[${String(index)}]`, 'must be a text');
      }
      return value;
    });
    if (new Set(texts).size !== texts.length) {
      throw this.invalid(name, 'holds a text twice');
    }
    return texts;
  }

  list(name: string, fallback?: readonly unknown[]): readonly unknown[] {
    const value = this.#fields[name] ?? fallback;
    if (!Array.isArray(value)) {
      throw this.invalid(name, 'must be a list');
    }
    return value as readonly unknown[];
  }

  invalid(name: string, detail: string): DataError {
    return invalid(this.#path === '' ? name : `${this.#path}.${name}`, detail);
  }
}

function invalid(path: string, detail: string): DataError {
  return new DataError('DATA_SCHEMA_INVALID', `${path === '' ? 'the schema' : path} ${detail}`);
}
