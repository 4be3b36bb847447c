// SPDX-License-Identifier: Apache-2.0
import { InvalidArgumentError } from 'commander';

/** A parser of whole numbers within bounds, for commander's options. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= low && value <= high)) {
      throw new InvalidArgumentError(`It must be a whole number from ${String(low)} to ${String(high)}.`);
    }
    return value;
  };
}

/** Parses 0, or a whole number of at least {@link least}. */
export function noneOrFrom(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value !== 0 && !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`It must be 0, or a whole number from ${String(least)} to ${String(most)}.`);
    }
    return value;
  };
}

/** Parses a number above 0. */
export function positive(text: string): number {
  const value = Number(text);
  if (!(Number.isFinite(value) && value > 0)) {
    throw new InvalidArgumentError('It must be a number above 0.');
  }
  return value;
}

/** Parses a share between 0 and 1, or a whole number from 1 on. */
export function shareOrNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0 && (value < 1 || Number.isSafeInteger(value)))) {
    throw new InvalidArgumentError('It must be a share between 0 and 1, or a whole number.');
  }
  return value;
}

/**
 * Parses an operand as commander parses options, naming it where it is wrong.
 *
 * @throws InvalidArgumentError
 */
export function operand<T>(name: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof InvalidArgumentError) {
      throw new InvalidArgumentError(`argument '${name}': value '${text}' is invalid. ${error.message}`);
    }
    throw error;
  }
}

/** A parser of `name=value` options that may be given several times. */
export function pair(text: string, previous: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1 || at === text.length - 1) {
    throw new InvalidArgumentError('It must have the form name=value.');
  }
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}

export const PORT = wholeNumber(0, 65_535);
export const SEED = wholeNumber(0, 0xffff_ffff);
