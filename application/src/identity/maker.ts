// SPDX-License-Identifier: Apache-2.0
import { createHmac, createPublicKey, randomBytes } from 'node:crypto';
import {
  publicKeyText,
  signStatement,
  type Domain,
  type MakerAttestation,
  type MakerKey,
  type PublicKeyText,
} from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { EXIT, SevError } from '../errors.js';
import { PRIVATE_FILE, makePrivateDirectory, readIfThere, writeFileAtomic } from '../store/files.js';
import { readOrMakePrivateKey, readPrivateKey } from './keys.js';

/** What a maker says of a car that wants an identity, without saying which car it is. */
export interface Attested {
  readonly makerKeyId: string;
  readonly tag: string;
  readonly attestation: string;
}

export interface AttestationRequest {
  readonly publicKey: PublicKeyText;
  readonly mspId: string;
  readonly domain: Domain;
  /** Id of the certificate that the maker put into the car when it was built. */
  readonly provisioningId: string;
}

/** Whoever can attest cars: the maker itself, or something that asks it. */
export type Maker = (request: AttestationRequest) => Promise<Attested>;

const KEY_ID = 'maker-1';

/** Makes the maker's key and secret in its home where they are missing. @returns the public part, for governance. */
export async function createMaker(home: string, mspId: string): Promise<MakerKey> {
  await makePrivateDirectory(home);
  const key = await readOrMakePrivateKey(inHome.makerKey(home));
  const path = inHome.makerSecret(home);
  if ((await readIfThere(path)) === undefined) {
    await writeFileAtomic(path, `${randomBytes(32).toString('hex')}\n`, { mode: PRIVATE_FILE });
  }
  return { makerKeyId: KEY_ID, mspId, publicKey: publicKeyText(createPublicKey(key)) };
}

/**
 * A maker from its home.
 *
 * @throws SevError KEY_MISSING where the home is not a maker's.
 */
export async function openMaker(home: string): Promise<Maker> {
  const key = await readPrivateKey(inHome.makerKey(home));
  const path = inHome.makerSecret(home);
  const text = await readIfThere(path);
  if (text === undefined) {
    throw new SevError('KEY_MISSING', `${path} is missing`, {
      hint: 'Without the secret the same car would get another tag; restore it from a backup.',
      exitCode: EXIT.usage,
    });
  }
  const secret = Buffer.from(text.toString('utf8').trim(), 'hex');
  return ({ publicKey, mspId, domain, provisioningId }) => {
    const tag = vehicleTag(secret, provisioningId, domain);
    const statement: MakerAttestation = {
      type: 'sev/maker-attestation/v1',
      makerKeyId: KEY_ID,
      publicKey,
      mspId,
      domain,
      tag,
    };
    return Promise.resolve({ makerKeyId: KEY_ID, tag, attestation: signStatement(statement, key) });
  };
}

/** tag = HMAC-SHA-256(secret, provisioning id ‖ 0x00 ‖ domain), hex: one for each car and domain. */
export function vehicleTag(secret: Uint8Array, provisioningId: string, domain: Domain): string {
  return createHmac('sha256', secret)
    .update(provisioningId)
    .update(Buffer.from([0]))
    .update(domain)
    .digest('hex');
}
