// SPDX-License-Identifier: Apache-2.0
import type { X509Certificate } from 'node:crypto';
import type { ChannelConfig } from './channel-config.js';
import { AuditError } from './failure.js';
import { certificatesOf, type TrustedOrganisation } from './membership.js';

/**
 * Checks that the organisations that are to be trusted are those of the configuration that the audited blocks end
 * with, each with the same root certificates. Block 0's hash and the policies already lead to that configuration; the
 * comparison tells an auditor that nobody is a member of whom he does not know, and that an export brings no roots of
 * its own.
 *
 * @param block number of the block that holds the configuration.
 * @throws AuditError CHANNEL_ROOTS, ROOT_CERTIFICATE
 */
export function checkTrustedRoots(
  config: ChannelConfig,
  block: number,
  organisations: readonly TrustedOrganisation[],
): void {
  const roots = new Map(config.msps.map(({ mspId, roots: certificates }) => [mspId, fingerprints(certificates)]));
  const trusted = new Map(organisations.map((o) => [o.mspId, fingerprints(certificatesOf(o.mspId, o.identityCaCert))]));
  for (const mspId of config.applicationMspIds) {
    if (!trusted.has(mspId)) {
      throw rootsError(block, `${mspId} is a member of the channel and is not among the organisations to be trusted`);
    }
  }
  for (const [mspId, own] of trusted) {
    const found = roots.get(mspId);
    if (found === undefined) {
      throw rootsError(block, `${mspId} is to be trusted and is not a member of the channel`);
    }
    if (own !== found) {
      throw rootsError(block, `the roots to be trusted of ${mspId} are not those of the channel`);
    }
  }
}

/** One text for a set of certificates, whatever their order. */
function fingerprints(certificates: readonly X509Certificate[]): string {
  return [...new Set(certificates.map((certificate) => certificate.fingerprint256))].sort().join(' ');
}

function rootsError(block: number, detail: string): AuditError {
  return new AuditError({ kind: 'block', where: `block ${String(block)}`, code: 'CHANNEL_ROOTS', detail });
}
