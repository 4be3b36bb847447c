// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { publicKeyText, type MakerKey, type Organisation, type Role } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import type { OrganisationProfile, RegistrarCredentials } from '../config/profile.js';
import { makePrivateDirectory } from '../store/files.js';
import { readOrMakePrivateKey } from './keys.js';
import { createMaker } from './maker.js';
import { openRegistrar } from './registrar.js';

/** The organisation that makes cars, and the one that audits, by the names they have in the topology. */
const MAKER = 'maker';
const REGULATOR = 'regulator';

/** Roles of the people and programs that every organisation has. */
const STAFF: readonly Role[] = ['operator', 'registrar', 'coordinator', 'attester', 'aggregator'];
/** Whoever audits the aggregation takes no part in it. */
const REGULATOR_STAFF: readonly Role[] = ['operator', 'registrar', 'attester', 'auditor'];

/** Identities of an organisation's home; each is enrolled under the name of its role. */
export function staffOf(organisation: Pick<OrganisationProfile, 'name'>): readonly Role[] {
  return organisation.name === REGULATOR ? REGULATOR_STAFF : STAFF;
}

export interface OrganisationHomeOptions {
  readonly organisation: OrganisationProfile;
  readonly home: string;
  /** Credentials of the CA's bootstrap registrar; asked for only when they are needed. */
  readonly credentials: () => Promise<RegistrarCredentials>;
}

/** What an organisation makes public of itself, for governance. */
export interface PublicOrganisation {
  readonly organisation: Organisation;
  readonly makers: readonly MakerKey[];
}

/**
 * Sets an organisation's home up: registrar, staff identities, statement key, and for a maker its key and secret.
 * Whatever is there already and still good is kept.
 */
export async function createOrganisationHome(options: OrganisationHomeOptions): Promise<PublicOrganisation> {
  const { organisation, home, credentials } = options;
  await makePrivateDirectory(home);
  const registrar = await openRegistrar(organisation, home, credentials);
  for (const role of staffOf(organisation)) {
    await registrar.registerAndEnrol(role, role);
  }
  return publicOrganisation(organisation, home);
}

async function publicOrganisation(organisation: OrganisationProfile, home: string): Promise<PublicOrganisation> {
  const { name, mspId } = organisation;
  const key = await readOrMakePrivateKey(inHome.signingKey(home));
  const signingKey = publicKeyText(createPublicKey(key));
  return {
    organisation: { name, mspId, signingKey, roles: [...staffOf(organisation), 'vehicle'] },
    makers: name === MAKER ? [await createMaker(home, mspId)] : [],
  };
}
