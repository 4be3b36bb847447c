// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import type { RevokedEntry } from '../embedded/ca/authority.js';
import { x509 } from '../embedded/msp/x509.js';
import type { KeyPairPem } from '../embedded/types.js';

/** What each organisation has revoked so far: a list replaces the one before it. */
export class RevocationLists {
  readonly #entries = new Map<number, readonly RevokedEntry[]>();

  /** @returns the organisation's entries, the new one among them. */
  add(organisation: number, { certificatePem }: KeyPairPem): readonly RevokedEntry[] {
    const serial = new X509Certificate(certificatePem).serialNumber.toLowerCase();
    const entry = { serial, revokedAtMs: Date.now(), reason: x509.X509CrlReason.keyCompromise };
    const entries = [...(this.#entries.get(organisation) ?? []), entry];
    this.#entries.set(organisation, entries);
    return entries;
  }
}
