// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { publicKeyText } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import {
  PRIVATE_FILE,
  makePrivateDirectory,
  readIfThere,
  syncDirectory,
  writeFileAtomic,
  writeFileOnce,
} from '../store/files.js';
import { newPrivateKey, privateKeyPem, readPrivateKey } from './keys.js';

/** A key that a vehicle is about to take up; it lies in the vehicle's home until the wallet holds it. */
export interface NextKey {
  /** PKCS #8 PEM. */
  readonly privateKey: string;
  readonly publicKey: string;
  /** PEM, once the CA has issued it. */
  readonly certificate?: string;
}

/** The vehicle's next key, made where there is none. Whoever asks at the same time gets the same one. */
export async function nextKey(home: string, vehicleId: string): Promise<NextKey> {
  await makePrivateDirectory(inHome.nextKeys(home));
  await writeFileOnce(keyPath(home, vehicleId), privateKeyPem(newPrivateKey()), { mode: PRIVATE_FILE });
  return readNextKey(home, vehicleId);
}

/** The vehicle's next key, where it has one. @throws SevError FILE_MALFORMED */
export async function findNextKey(home: string, vehicleId: string): Promise<NextKey | undefined> {
  const isThere = (await readIfThere(keyPath(home, vehicleId))) !== undefined;
  return isThere ? readNextKey(home, vehicleId) : undefined;
}

/** Keeps the certificate of the next key. */
export async function putNextCertificate(home: string, vehicleId: string, certificate: string): Promise<void> {
  await writeFileAtomic(certificatePath(home, vehicleId), certificate, { mode: PRIVATE_FILE });
}

/** For when the wallet holds the key. */
export async function dropNextKey(home: string, vehicleId: string): Promise<void> {
  // The key goes last: without it there is nothing to go on with.
  await rm(certificatePath(home, vehicleId), { force: true });
  await rm(keyPath(home, vehicleId), { force: true });
  await syncDirectory(inHome.nextKeys(home));
}

async function readNextKey(home: string, vehicleId: string): Promise<NextKey> {
  const key = await readPrivateKey(keyPath(home, vehicleId));
  const certificate = await readIfThere(certificatePath(home, vehicleId));
  return {
    privateKey: privateKeyPem(key),
    publicKey: publicKeyText(createPublicKey(key)),
    ...(certificate === undefined ? {} : { certificate: certificate.toString('utf8') }),
  };
}

function keyPath(home: string, vehicleId: string): string {
  return join(inHome.nextKeys(home), `${vehicleId}.key.pem`);
}

function certificatePath(home: string, vehicleId: string): string {
  return join(inHome.nextKeys(home), `${vehicleId}.cert.pem`);
}
