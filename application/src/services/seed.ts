// SPDX-License-Identifier: Apache-2.0
import { sha256Hex } from '@sev/chaincode/api';

/** A seed of 32 bits that follows from a text. */
export function seedFrom(text: string): number {
  return Number.parseInt(sha256Hex(text).slice(0, 8), 16);
}
