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
