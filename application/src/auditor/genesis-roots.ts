// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { common, msp } from '@hyperledger/fabric-protos';
import { AuditError } from './failure.js';
import { certificatesOf, type TrustedOrganisation } from './membership.js';

/**
 * Checks that the organisations that are trusted are those of block 0, each with the same root certificates. Whoever
 * knows block 0's hash then needs no other source for them: an export cannot bring roots of its own.
 *
 * @param transactions of block 0; the first holds the channel's configuration.
 * @throws AuditError GENESIS_ROOTS
 */
export function checkGenesisRoots(
  transactions: readonly Uint8Array[],
  organisations: readonly TrustedOrganisation[],
): void {
  const config = readGroups(transactions[0] ?? new Uint8Array());
  const roots = new Map([...rootsOf(config, 'Orderer'), ...rootsOf(config, 'Application')]);
  const trusted = new Map(organisations.map((o) => [o.mspId, fingerprints(certificatesOf(o.mspId, o.identityCaCert))]));
  for (const mspId of rootsOf(config, 'Application').keys()) {
    if (!trusted.has(mspId)) {
      throw rootsError(`${mspId} is a member of the channel and is not among the organisations to be trusted`);
    }
  }
  for (const [mspId, own] of trusted) {
    if (own !== roots.get(mspId)) {
      throw rootsError(`the roots to be trusted of ${mspId} are not those of block 0`);
    }
  }
}

function readGroups(envelopeBytes: Uint8Array): common.ConfigGroup {
  const channel = attempt(() => {
    const envelope = common.Envelope.deserializeBinary(envelopeBytes);
    const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
    return common.ConfigEnvelope.deserializeBinary(payload.getData_asU8()).getConfig()?.getChannelGroup();
  });
  if (channel === undefined) {
    throw rootsError('it holds no configuration');
  }
  return channel;
}

/** Root certificates by MSP id, of the organisations in one group of the channel. */
function rootsOf(channel: common.ConfigGroup, group: 'Application' | 'Orderer'): Map<string, string> {
  const roots = new Map<string, string>();
  const organisations = channel.getGroupsMap().get(group)?.getGroupsMap();
  organisations?.forEach((organisation) => {
    const value = organisation.getValuesMap().get('MSP')?.getValue_asU8() ?? new Uint8Array();
    const [mspId, certificates] = attempt(() => {
      const config = msp.FabricMSPConfig.deserializeBinary(msp.MSPConfig.deserializeBinary(value).getConfig_asU8());
      const list = config.getRootCertsList_asU8().map((root) => new X509Certificate(Buffer.from(root)));
      return [config.getName(), list] as const;
    });
    roots.set(mspId, fingerprints(certificates));
  });
  return roots;
}

/** One text for a set of certificates, whatever their order. */
function fingerprints(certificates: readonly X509Certificate[]): string {
  return [...new Set(certificates.map((certificate) => certificate.fingerprint256))].sort().join(' ');
}

function attempt<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw rootsError(`its configuration cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function rootsError(detail: string): AuditError {
  return new AuditError({ kind: 'block', where: 'block 0', code: 'GENESIS_ROOTS', detail });
}
