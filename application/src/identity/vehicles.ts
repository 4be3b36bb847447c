// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  domain,
  mspId,
  publicKey,
  publicKeyText,
  signStatement,
  signature,
  vehicleId,
  type Domain,
} from '@sev/chaincode/api';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { parseFile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { PRIVATE_FILE, makePrivateDirectory, readJson, writeJson } from '../store/files.js';
import { certifiedKey, parseCertificate } from './certificates.js';
import { certificateRequest } from './csr.js';
import { newPrivateKey, privateKeyPem } from './keys.js';
import { sweepVehicleKeys } from './leftovers.js';
import { dropNextKey, findNextKey, nextKey } from './next-keys.js';
import {
  provisionedCar,
  provisioningCertificate,
  provisioningKeyOf,
  requestStatement,
  type ProvisionedCar,
  type RequestType,
} from './provisioning.js';
import { openWallet } from './wallet.js';

export const vehicleRequest = z.object({
  vehicleId,
  publicKey,
  domain,
  /** The organisation that is asked; absent where any may enrol the vehicle. */
  mspId: mspId.optional(),
  /** Certificate request, PEM. */
  csr: z.string().min(1).max(10_000),
  /** For the maker only; never sent to the ledger. */
  provisioning: provisioningCertificate,
  /** Signature of the enrollment request's statement with the car's provisioning key. */
  provisioningProof: signature,
  /** Signature of the same statement with the vehicle's own key. */
  proof: signature,
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
  domain,
  mspId: mspId.optional(),
  provisioning: provisionedCar,
  /** PKCS #8 PEM until the certificate is installed; then the key lies in the wallet. */
  privateKey: z.string().optional(),
});
type VehicleFile = z.infer<typeof vehicleFile>;

export interface InitVehiclesOptions {
  /** Home of the vehicle, or of a pool of vehicles. */
  readonly home: string;
  /** What the maker put into each car. */
  readonly cars: readonly ProvisionedCar[];
  /** Default `learning`. */
  readonly domain?: Domain;
  /** The organisation that shall enrol them; default: whichever is asked. */
  readonly mspId?: string | undefined;
}

/**
 * Makes a key and a random id for each car; the keys never leave the home. A car that waits for its certificate here
 * asks for it again.
 *
 * @throws SevError PROVISIONING_INVALID, VEHICLE_IN_HOME where a car has its certificate already.
 */
export async function initVehicles(options: InitVehiclesOptions): Promise<VehicleRequest[]> {
  const { home, cars, domain = 'learning', mspId } = options;
  await sweepVehicleKeys(home);
  const present = new Map((await vehicleFiles(home)).map((file) => [carKey(file.provisioning, file.domain), file]));
  const files = cars.map((provisioning): VehicleFile & { readonly privateKey: string } => {
    const { vehicleId, privateKey } = present.get(carKey(provisioning, domain)) ?? newVehicle();
    if (privateKey === undefined) {
      throw new SevError('VEHICLE_IN_HOME', `${home} holds vehicle ${vehicleId} of this car, certificate and all`, {
        hint: 'A car has one identity in a domain; use the one that it has.',
        exitCode: EXIT.usage,
      });
    }
    return { vehicleId, domain, ...(mspId === undefined ? {} : { mspId }), provisioning, privateKey };
  });
  const requests = files.map((file) => requestOf(file));
  for (const file of files) {
    await writeJson(pathOf(home, file.vehicleId), file, { mode: PRIVATE_FILE });
  }
  return requests;
}

function newVehicle(): Pick<VehicleFile, 'vehicleId' | 'privateKey'> {
  return { vehicleId: `v-${randomBytes(16).toString('base64url')}`, privateKey: privateKeyPem(newPrivateKey()) };
}

function carKey({ provisioningId }: ProvisionedCar, domain: Domain): string {
  return `${provisioningId} ${domain}`;
}

/** Requests of the vehicles in a home that have no certificate yet. */
export async function pendingRequests(home: string): Promise<VehicleRequest[]> {
  const files = await vehicleFiles(home);
  return files.flatMap(({ privateKey, ...file }) =>
    privateKey === undefined ? [] : [requestOf({ ...file, privateKey })],
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
  await sweepVehicleKeys(home);
  for (const { vehicleId, mspId, certificate } of issued) {
    const file = await readVehicleFile(home, vehicleId);
    if (file === undefined) {
      throw new SevError('VEHICLE_NOT_IN_HOME', `${home} holds no vehicle ${vehicleId}`, { exitCode: EXIT.usage });
    }
    const certified = certifiedKey(parseCertificate(certificate));
    const next = await findNextKey(home, vehicleId);
    const isNext = next?.publicKey === certified;
    const privateKey = isNext ? next.privateKey : (file.privateKey ?? (await wallet.get(vehicleId)).privateKey);
    if (certified !== publicKeyText(createPublicKey(createPrivateKey(privateKey)))) {
      throw new SevError('CERTIFICATE_INVALID', `The certificate of ${vehicleId} is for another key`, {
        exitCode: EXIT.integrity,
      });
    }
    await wallet.put({ label: vehicleId, mspId, certificate, privateKey });
    // Only now that the wallet holds the key may the file give it up.
    const { privateKey: _moved, ...rest } = file;
    await writeJson(pathOf(home, vehicleId), rest, { mode: PRIVATE_FILE });
    if (isNext) {
      await dropNextKey(home, vehicleId);
    }
  }
}

/**
 * Asks for other keys for vehicles that lost theirs, or whose certificates have ended: the car shows by its provisioning
 * key that it is the one. Asked again, it asks for the same key.
 *
 * @param vehicleIds - of vehicles that were enrolled from this home.
 * @throws SevError VEHICLE_NOT_IN_HOME, VEHICLE_NOT_ENROLLED where the first certificate is not installed yet.
 */
export async function requestRecovery(home: string, vehicleIds: readonly string[]): Promise<VehicleRequest[]> {
  await sweepVehicleKeys(home);
  const files = await Promise.all(
    vehicleIds.map(async (vehicleId) => {
      const file = await readVehicleFile(home, vehicleId);
      if (file === undefined) {
        throw new SevError('VEHICLE_NOT_IN_HOME', `${home} holds no vehicle ${vehicleId}`, { exitCode: EXIT.usage });
      }
      if (file.privateKey !== undefined) {
        throw new SevError('VEHICLE_NOT_ENROLLED', `${vehicleId} has its first key and no certificate yet`, {
          hint: 'Enrol it with `sev vehicle enroll`.',
          exitCode: EXIT.usage,
        });
      }
      return file;
    }),
  );
  return Promise.all(
    files.map(async (file) => {
      const { privateKey } = await nextKey(home, file.vehicleId);
      return requestOf({ ...file, privateKey }, 'sev/key-recovery-request/v1');
    }),
  );
}

function requestOf(file: VehicleFile & { readonly privateKey: string }, type?: RequestType): VehicleRequest {
  const { vehicleId, domain, mspId, provisioning } = file;
  const key = createPrivateKey(file.privateKey);
  const asked = { vehicleId, publicKey: publicKeyText(createPublicKey(key)), domain, ...(mspId && { mspId }) };
  const statement = requestStatement(asked, type);
  const { privateKey: _kept, ...certificate } = provisioning;
  return {
    ...asked,
    csr: certificateRequest(vehicleId, key),
    provisioning: certificate,
    provisioningProof: signStatement(statement, provisioningKeyOf(provisioning)),
    proof: signStatement(statement, key),
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
