// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import { JsonFileError, readJson } from './json.js';

const pem = z.string().startsWith('-----BEGIN CERTIFICATE-----');

const schema = z.object({
  schemaVersion: z.literal(1),
  network: z.object({
    kind: z.enum(['embedded', 'fabric']),
    trust: z.enum(['single-operator', 'consortium']),
    name: z.string(),
  }),
  channel: z.string(),
  chaincode: z.string(),
  genesisHash: z.string().regex(/^[0-9a-f]{64}$/),
  organisations: z
    .array(
      z.object({
        name: z.string(),
        mspId: z.string(),
        gateway: z.object({ address: z.string(), tlsCaCert: pem }),
        ca: z.object({ url: z.url(), caName: z.string(), tlsCaName: z.string().optional(), tlsCaCert: pem }),
        identityCaCert: pem,
      }),
    )
    .min(1),
});

/**
 * What applications know of a network: addresses, and the roots they trust. Public.
 *
 * `ca.tlsCaName` names the CA that signs servers' certificates, where it is not the one of `caName` by another profile;
 * `genesisHash` is the hex hash of block 0's header; `gateway.address` is `host:port`; certificates are PEM.
 */
export type ConnectionProfile = Readonly<z.infer<typeof schema>>;

/** @throws NetworkError NETWORK_NOT_RUNNING when there is no profile, PROFILE_INVALID when it has another form */
export async function loadConnectionProfile(path: string): Promise<ConnectionProfile> {
  try {
    const profile = await readJson(path, schema);
    if (profile !== undefined) {
      return profile;
    }
  } catch (error) {
    if (error instanceof JsonFileError) {
      throw new NetworkError('PROFILE_INVALID', error.message, { cause: error });
    }
    throw error;
  }
  throw new NetworkError('NETWORK_NOT_RUNNING', `there is no network at ${path}; bring one up first`);
}
