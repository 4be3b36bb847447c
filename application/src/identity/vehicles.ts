// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mspId, publicKey, publicKeyText, vehicleId } from '@sev/chaincode/api';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { parseFile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { PRIVATE_FILE, makePrivateDirectory, readJson, writeJson } from '../store/files.js';
import { certifiedKey, parseCertificate } from './certificates.js';
import { certificateRequest } from './csr.js';
import { newPrivateKey, privateKeyPem } from './keys.js';
import { openWallet } from './wallet.js';

export const vehicleRequest = z.object({
  vehicleId,
  publicKey,
  /** Certificate request, PEM. */
  csr: z.string().min(1).max(10_000),
  /** For the maker only; never sent to the ledger. */
  provisioningId: z.string().min(1).max(200),
});
/** What a vehicle hands to a registrar. It says nothing about the car but what its maker needs to recognise it. */
export type VehicleRequest = Readonly<z.infer<typeof vehicleRequest>>;

export const issuedCertificate = z.object({
  vehicleId,
  mspId,
  /** PEM. */
  certificate: z.string().min(1).max(10_000),
});
/** What a registrar hands back. */
export type IssuedCertificate = Readonly<z.infer<typeof issuedCertificate>>;

const vehicleFile = z.object({
  vehicleId,
  provisioningId: z.string().min(1),
  /** PKCS #8 PEM until the certificate is installed; then the key lies in the wallet. */
  privateKey: z.string().optional(),
});
type VehicleFile = z.infer<typeof vehicleFile>;

export interface InitVehiclesOptions {
  /** Home of the vehicle, or of a pool of vehicles. */
  readonly home: string;
  /** Default 1. */
  readonly count?: number;
  /** Ids of the certificates that makers put into the cars; default: random, one for each new vehicle. */
  readonly provisioningIds?: readonly string[];
}

/** Makes keys and random ids for new vehicles. The keys never leave the home. */
export async function initVehicles(options: InitVehiclesOptions): Promise<VehicleRequest[]> {
  const { home, count = 1, provisioningIds = [] } = options;
  const directory = inHome.vehicles(home);
  await makePrivateDirectory(directory);
  const requests: VehicleRequest[] = [];
  for (let i = 0; i < count; i++) {
    const file = {
      vehicleId: `v-${randomBytes(16).toString('base64url')}`,
      provisioningId: provisioningIds[i] ?? randomBytes(16).toString('hex'),
      privateKey: privateKeyPem(newPrivateKey()),
    };
    await writeJson(pathOf(home, file.vehicleId), file, { mode: PRIVATE_FILE });
    requests.push(requestOf(file.vehicleId, file.provisioningId, file.privateKey));
  }
  return requests;
}

/** Requests of the vehicles in a home that have no certificate yet. */
export async function pendingRequests(home: string): Promise<VehicleRequest[]> {
  const files = await vehicleFiles(home);
  return files.flatMap(({ vehicleId, provisioningId, privateKey }) =>
    privateKey === undefined ? [] : [requestOf(vehicleId, provisioningId, privateKey)],
  );
}

/** Ids of all vehicles in a home, sorted, and whether their certificates are installed. */
export async function vehiclesIn(home: string): Promise<{ vehicleId: string; installed: boolean }[]> {
  const files = await vehicleFiles(home);
  return files.map(({ vehicleId, privateKey }) => ({ vehicleId, installed: privateKey === undefined }));
}

/**
 * Puts issued certificates into the home's wallet beside their keys. Installing one again changes nothing.
 *
 * @throws SevError VEHICLE_NOT_IN_HOME, CERTIFICATE_INVALID where it certifies another key.
 */
export async function installCertificates(home: string, issued: readonly IssuedCertificate[]): Promise<void> {
  const wallet = await openWallet(inHome.wallet(home));
  for (const { vehicleId, mspId, certificate } of issued) {
    const file = await readVehicleFile(home, vehicleId);
    if (file === undefined) {
      throw new SevError('VEHICLE_NOT_IN_HOME', `${home} holds no vehicle ${vehicleId}`, { exitCode: EXIT.usage });
    }
    const privateKey = file.privateKey ?? (await wallet.get(vehicleId)).privateKey;
    const publicKey = publicKeyText(createPublicKey(createPrivateKey(privateKey)));
    if (certifiedKey(parseCertificate(certificate)) !== publicKey) {
      throw new SevError('CERTIFICATE_INVALID', `The certificate of ${vehicleId} is for another key`, {
        exitCode: EXIT.integrity,
      });
    }
    await wallet.put({ label: vehicleId, mspId, certificate, privateKey });
    // Only now that the wallet holds the key may the file give it up.
    await writeJson(
      pathOf(home, vehicleId),
      { vehicleId, provisioningId: file.provisioningId },
      { mode: PRIVATE_FILE },
    );
  }
}

function requestOf(vehicleId: string, provisioningId: string, pem: string): VehicleRequest {
  const key = createPrivateKey(pem);
  return {
    vehicleId,
    publicKey: publicKeyText(createPublicKey(key)),
    csr: certificateRequest(vehicleId, key),
    provisioningId,
  };
}

async function vehicleFiles(home: string): Promise<VehicleFile[]> {
  const directory = inHome.vehicles(home);
  await makePrivateDirectory(directory);
  const names = (await readdir(directory)).filter((name) => name.endsWith('.json')).sort();
  const files = await Promise.all(names.map((name) => readVehicleFile(home, name.slice(0, -'.json'.length))));
  return files.filter((file) => file !== undefined);
}

async function readVehicleFile(home: string, vehicleId: string): Promise<VehicleFile | undefined> {
  const path = pathOf(home, vehicleId);
  const value = await readJson(path);
  return value === undefined ? undefined : parseFile(vehicleFile, path, value);
}

function pathOf(home: string, vehicleId: string): string {
  return join(inHome.vehicles(home), `${vehicleId}.json`);
}
