// SPDX-License-Identifier: Apache-2.0

/** A number of things: `1 car`, `2 cars`. */
export function counted(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}
