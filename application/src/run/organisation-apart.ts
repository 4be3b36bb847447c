// SPDX-License-Identifier: Apache-2.0
import { makerKey, organisation } from '@sev/chaincode/api';
import type { ApplicationEnrolment, PublicPart } from '@sev/network';
import { z } from 'zod';
import { parseFile, readConnectionProfile, readRegistrar } from '../config/index.js';
import { bootstrapOf, createOrganisationHome, DEFAULT_POLICY, ensureBootstrapped } from '../identity/index.js';
import type { PublicOrganisation } from '../identity/index.js';

/** What an organisation's public part says to governance. */
const governancePart: z.ZodType<PublicOrganisation> = z.strictObject({ organisation, makers: z.array(makerKey) });

/**
 * What an organisation makes public of itself for governance, from its public part.
 *
 * @throws SevError FILE_MALFORMED where the part does not say it, or speaks of another organisation.
 */
export function publicOrganisationOf(part: PublicPart): PublicOrganisation {
  const own = governancePart.refine(
    (said) =>
      said.organisation.mspId === part.mspId &&
      said.organisation.name === part.name &&
      said.makers.every(({ mspId }) => mspId === part.mspId),
    'it speaks of another organisation',
  );
  return parseFile(own, `the public part of ${part.name}`, part.governance);
}

/** Sets an organisation's home up while its CA runs. @returns what governance is to know of it */
export function enrolInto(home: string): ApplicationEnrolment {
  return async (profile) => {
    const created = await createOrganisationHome({
      organisation: profile,
      home,
      credentials: () => readRegistrar(profile.name),
    });
    return z.json().parse(created);
  };
}

/**
 * Bootstraps the consortium with the public parts of the organisations that founded the channel, or checks that whoever
 * was first did so. One that came later has nothing to do here: it is admitted by vote.
 *
 * @throws SevError CONSORTIUM_FOREIGN, FILE_MALFORMED; LedgerError.
 */
export async function joinGovernance(name: string, home: string, onProgress: (message: string) => void): Promise<void> {
  const { foundingParts } = await import('@sev/network');
  const founders = await foundingParts();
  if (!founders.some((part) => part.name === name)) {
    onProgress(`${name} came after the channel was founded: governance admits it by vote`);
    return;
  }
  const request = bootstrapOf(founders.map(publicOrganisationOf), DEFAULT_POLICY);
  await ensureBootstrapped({ profile: await readConnectionProfile(), home, request, onProgress });
}
