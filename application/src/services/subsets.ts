// SPDX-License-Identifier: Apache-2.0

/** All subsets of at most seven or so items, larger ones first, items in their order. */
export function subsetsBySize<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: 2 ** items.length }, (_, bits) => items.filter((_item, i) => (bits >> i) % 2 === 1)).sort(
    (a, b) => b.length - a.length,
  );
}
