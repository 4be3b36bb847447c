// SPDX-License-Identifier: Apache-2.0
import { governance } from '../ledger/contracts.js';
import type { ServiceSession } from './rounds.js';

/** The network's name in everything that is signed for it: the hash that its consortium was bootstrapped with. */
export type NetworkName = () => Promise<string>;

/**
 * The name as the session's own gateway gives it, never as somebody who asks for a signature says. It is read when it is
 * first needed, and again where that failed; it never changes.
 */
export function networkName(session: Pick<ServiceSession, 'evaluate' | 'submit'>): NetworkName {
  let reading: Promise<string> | undefined;
  return () => {
    if (reading === undefined) {
      const attempt = governance(session)
        .consortium()
        .then(({ bootstrapHash }) => bootstrapHash);
      reading = attempt;
      attempt.catch(() => {
        reading = undefined;
      });
    }
    return reading;
  };
}
