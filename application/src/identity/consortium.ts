// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { canonicalJson, type Bootstrap, type ConsortiumRecord, type Policy } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { readRegistrar, type ConnectionProfile } from '../config/profile.js';
import { hasCode, SevError } from '../errors.js';
import { governance } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import { createOrganisationHome, type PublicOrganisation } from './organisation.js';
import { openWallet } from './wallet.js';

export const DEFAULT_POLICY: Policy = {
  vehicleQuota: 10_000,
  enrollmentsPerWindow: 1_000,
  enrollmentWindowMs: 60 * 60 * 1000,
};

export interface BootstrapOptions {
  readonly profile: ConnectionProfile;
  /** Folder of the organisations' homes, one named after each organisation. */
  readonly homes: string;
  /** Home of the network, where the CA registrars' credentials lie; default as for `readRegistrar`. */
  readonly networkHome?: string;
  readonly policy?: Policy;
  readonly onProgress?: (message: string) => void;
}

/**
 * Sets the homes of all organisations up and bootstraps the consortium on the channel. Doing it again changes nothing.
 *
 * It needs every organisation's home, so it is for networks under a single operator; organisations apart exchange what
 * {@link createOrganisationHome} returns.
 */
export async function bootstrapConsortium(options: BootstrapOptions): Promise<ConsortiumRecord> {
  const { profile, homes, onProgress } = options;
  const parts = await Promise.all(
    profile.organisations.map(async (organisation) => {
      const part = await createOrganisationHome({
        organisation,
        home: join(homes, organisation.name),
        credentials: () => readRegistrar(organisation.name, options.networkHome),
      });
      onProgress?.(`${organisation.name}: identities ready`);
      return part;
    }),
  );
  const first = profile.organisations[0];
  if (first === undefined) {
    throw new SevError('ORGANISATION_UNKNOWN', 'The network has no organisation');
  }
  const wallet = await openWallet(inHome.wallet(join(homes, first.name)));
  const session = await openSession({ profile, identity: await wallet.get('operator') });
  try {
    const contract = governance(session);
    const request = bootstrapOf(parts, options.policy ?? DEFAULT_POLICY);
    try {
      const present = await contract.consortium();
      assertSame(request, present);
      return present;
    } catch (error) {
      if (!hasCode(error, 'GOVERNANCE_MISSING')) {
        throw error;
      }
    }
    const { result } = await contract.bootstrap(request);
    onProgress?.('consortium bootstrapped');
    return result;
  } finally {
    session.close();
  }
}

function bootstrapOf(parts: readonly PublicOrganisation[], policy: Policy): Bootstrap {
  return {
    organisations: parts.map((part) => part.organisation),
    makers: parts.flatMap((part) => part.makers),
    policy,
  };
}

/** Governance may have changed by vote since; the statement keys in the homes must be those that it knows. */
function assertSame(request: Bootstrap, present: ConsortiumRecord): void {
  for (const wanted of request.organisations) {
    const found = present.organisations.find((o) => o.mspId === wanted.mspId);
    if (found !== undefined && canonicalJson(found.signingKey) !== canonicalJson(wanted.signingKey)) {
      throw new SevError('STATEMENT_KEY_MISMATCH', `Governance knows another statement key of ${wanted.name}`, {
        hint: 'Restore the home that the consortium was bootstrapped with, or start afresh with `sev network clean`.',
      });
    }
  }
}
