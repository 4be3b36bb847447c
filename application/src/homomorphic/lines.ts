// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord, Task } from '@sev/chaincode/api';

/** Who has which part in a task of mode `he`, for people; nothing in other modes. */
export function heTaskLines({ he }: Task): string[] {
  if (he === undefined) {
    return [];
  }
  const { keyHolder, summer, maskHolder, clipMilli, fractionBits, metrics } = he;
  return [
    `he         key holder ${keyHolder}, summer ${summer}, mask holder ${maskHolder}`,
    `opened     nothing but sums; clip ${String(clipMilli / 1_000)}, ${String(fractionBits)} fraction bits, metrics ${metrics.join(', ') || 'none'}`,
  ];
}

/** Who could see what of a round in mode `he`, in plain words; nothing in other modes. */
export function heRoundLines({ he }: RoundRecord): string[] {
  if (he === undefined) {
    return [];
  }
  const { contradicted = [], shownAttempts, opening } = he;
  return [
    `encrypted for the key ${opening.publicKeyHash}, masked, and summed: of a single update nothing is opened`,
    ...(shownAttempts.length === 0
      ? []
      : [
          `sums that may have been shown: ${shownAttempts.map(({ round, attempt }) => `round ${String(round)} attempt ${String(attempt)}`).join(', ')}`,
        ]),
    ...(contradicted.length === 0 ? [] : [`denied what it gave a receipt for: ${contradicted.join(', ')}`]),
  ];
}
