// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { EXIT, SevError, messageOf } from '../errors.js';
import { PRIVATE_FILE, readIfThere, writeFileOnce } from '../store/files.js';

/** A new P-256 key pair, the curve of Fabric's identities. */
export function newPrivateKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** PKCS #8 PEM. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * Reads a private key from a PEM file.
 *
 * @throws SevError KEY_MISSING, FILE_MALFORMED.
 */
export async function readPrivateKey(path: string): Promise<KeyObject> {
  const pem = await readIfThere(path);
  if (pem === undefined) {
    throw new SevError('KEY_MISSING', `${path} is missing`, {
      hint: 'Is this the home of the organisation that holds the key?',
      exitCode: EXIT.usage,
    });
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new SevError('FILE_MALFORMED', `${path} holds no private key: ${messageOf(error)}`, {
      exitCode: EXIT.integrity,
    });
  }
}

/**
 * Reads a private key, making a new one in a file only its owner can read where there is none. Whoever asks at the same
 * time gets the same key.
 */
export async function readOrMakePrivateKey(path: string): Promise<KeyObject> {
  if ((await readIfThere(path)) === undefined) {
    await writeFileOnce(path, privateKeyPem(newPrivateKey()), { mode: PRIVATE_FILE });
  }
  return readPrivateKey(path);
}
