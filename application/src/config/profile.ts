// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { ConnectionProfile } from '@sev/network';
import { z } from 'zod';
import { EXIT, SevError } from '../errors.js';
import { readJson } from '../store/files.js';

/** What a network tells applications about itself; public, and all that organisations' programs share. */
export type { ConnectionProfile };
export type OrganisationProfile = ConnectionProfile['organisations'][number];

/** The form that the network writes, checked here without loading the network's programs. */
const connectionProfile: z.ZodType<ConnectionProfile> = z.object({
  schemaVersion: z.literal(1),
  network: z.object({
    kind: z.enum(['embedded', 'fabric']),
    trust: z.enum(['single-operator', 'consortium']),
    name: z.string(),
  }),
  channel: z.string(),
  chaincode: z.string(),
  genesisHash: z.string(),
  organisations: z
    .array(
      z.object({
        name: z.string(),
        mspId: z.string(),
        gateway: z.object({ address: z.string(), tlsCaCert: z.string() }),
        ca: z.object({
          url: z.string(),
          caName: z.string(),
          tlsCaName: z.string().optional(),
          tlsCaCert: z.string(),
        }),
        identityCaCert: z.string(),
      }),
    )
    .min(1),
});

const registrarCredentials = z.object({ enrollmentId: z.string().min(1), enrollmentSecret: z.string().min(1) });
/** The bootstrap registrar of an organisation's CA. */
export type RegistrarCredentials = z.infer<typeof registrarCredentials>;

/** Where networks lie: `SEV_NETWORK_HOME`, else `.network` in the working directory. */
export function networkHome(): string {
  return process.env['SEV_NETWORK_HOME'] ?? join(process.cwd(), '.network');
}

/**
 * Reads `connection.json` of the network.
 *
 * @param home default {@link networkHome}
 * @throws SevError NETWORK_NOT_RUNNING where there is none, FILE_MALFORMED.
 */
export async function readConnectionProfile(home = networkHome()): Promise<ConnectionProfile> {
  const path = join(home, 'connection.json');
  const value = await readJson(path);
  if (value === undefined) {
    throw new SevError('NETWORK_NOT_RUNNING', `There is no network: ${path} is missing`, {
      hint: 'Start one with `sev network up`.',
      exitCode: EXIT.unreachable,
    });
  }
  return parseFile(connectionProfile, path, value);
}

/**
 * Reads `organisations/<name>/registrar.json`, which only the organisation's operator can.
 *
 * @throws SevError REGISTRAR_MISSING, FILE_MALFORMED.
 */
export async function readRegistrar(organisation: string, home = networkHome()): Promise<RegistrarCredentials> {
  const path = join(home, 'organisations', organisation, 'registrar.json');
  const value = await readJson(path);
  if (value === undefined) {
    throw new SevError('REGISTRAR_MISSING', `${path} is missing`, {
      hint: "It holds the secret of the organisation's CA registrar; the network writes it when it first starts.",
      exitCode: EXIT.usage,
    });
  }
  return parseFile(registrarCredentials, path, value);
}

/** @throws SevError ORGANISATION_UNKNOWN. */
export function organisationNamed(profile: ConnectionProfile, nameOrMspId: string): OrganisationProfile {
  const found = profile.organisations.find((o) => o.name === nameOrMspId || o.mspId === nameOrMspId);
  if (found === undefined) {
    const names = profile.organisations.map((o) => o.name).join(', ');
    throw new SevError('ORGANISATION_UNKNOWN', `The network has no organisation ${nameOrMspId}`, {
      hint: `It has ${names}.`,
      exitCode: EXIT.usage,
    });
  }
  return found;
}

/** @throws SevError FILE_MALFORMED naming the path within the file. */
export function parseFile<T>(schema: z.ZodType<T>, path: string, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue === undefined || issue.path.length === 0 ? 'the file' : issue.path.join('.');
    throw new SevError('FILE_MALFORMED', `${path}: ${where}: ${issue?.message ?? 'unknown form'}`, {
      exitCode: EXIT.integrity,
    });
  }
  return parsed.data;
}
