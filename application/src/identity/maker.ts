// SPDX-License-Identifier: Apache-2.0
import { createHmac, createPublicKey, randomBytes, type KeyObject } from 'node:crypto';
import {
  publicKeyText,
  signStatement,
  type Domain,
  type KeyRecoveryAttestation,
  type MakerAttestation,
  type MakerKey,
  type VehicleRecord,
} from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { EXIT, SevError } from '../errors.js';
import { PRIVATE_FILE, makePrivateDirectory, readIfThere, writeFileOnce } from '../store/files.js';
import { readOrMakePrivateKey, readPrivateKey } from './keys.js';
import { isProvisionedBy, isRequestedWith, provisioningInvalid, type RequestType } from './provisioning.js';
import type { VehicleRequest } from './vehicles.js';

/** What a maker says of a car that wants an identity, without saying which car it is. */
export interface Attested {
  readonly makerKeyId: string;
  readonly tag: string;
  readonly attestation: string;
}

export interface AttestationRequest {
  /** What the car asks for. */
  readonly request: VehicleRequest;
  /** The organisation that enrols it. */
  readonly mspId: string;
  readonly domain: Domain;
  /** The network that the attestation is for (`bootstrapHash` of governance:GetConsortium). */
  readonly consortium: string;
}

/**
 * Whoever can attest cars: the maker itself, or something that asks it.
 *
 * @throws SevError PROVISIONING_INVALID where the request does not come from a car of this maker, or asks for another
 *   organisation or domain.
 */
export type Maker = (request: AttestationRequest) => Promise<Attested>;

/** A lost key's replacement that a maker is to attest: which vehicle, and which change of its key. */
export interface RecoveryAttestationRequest {
  readonly request: VehicleRequest;
  /** The vehicle as the ledger has it. */
  readonly vehicle: Pick<VehicleRecord, 'vehicleId' | 'mspId' | 'domain' | 'tag'>;
  /** The number that the change of key will have. */
  readonly rotation: number;
  readonly consortium: string;
}

/**
 * Whoever can attest that the car which asks for another key is the one that was enrolled.
 *
 * @throws SevError PROVISIONING_INVALID where it is another car, or the car asks for something else.
 */
export type RecoveryMaker = (request: RecoveryAttestationRequest) => Promise<Omit<Attested, 'tag'>>;

const KEY_ID = 'maker-1';

/** Makes the maker's keys and secret in its home where they are missing. @returns the public part, for governance. */
export async function createMaker(home: string, mspId: string): Promise<MakerKey> {
  await makePrivateDirectory(home);
  const key = await readOrMakePrivateKey(inHome.makerKey(home));
  await readOrMakePrivateKey(inHome.provisioningKey(home));
  const path = inHome.makerSecret(home);
  if ((await readIfThere(path)) === undefined) {
    await writeFileOnce(path, `${randomBytes(32).toString('hex')}\n`, { mode: PRIVATE_FILE });
  }
  return { makerKeyId: KEY_ID, mspId, publicKey: publicKeyText(createPublicKey(key)) };
}

/**
 * A maker from its home.
 *
 * @throws SevError KEY_MISSING where the home is not a maker's.
 */
export async function openMaker(home: string): Promise<Maker> {
  const { key, provisioningKey, secret } = await readMaker(home);
  // Whatever is thrown becomes a rejection: a maker may also be somewhere else.
  // eslint-disable-next-line @typescript-eslint/require-await
  return async ({ request, mspId, domain, consortium }) => {
    checkOrigin(request, mspId, domain, provisioningKey);
    const tag = vehicleTag(secret, request.provisioning.provisioningId, domain);
    const statement: MakerAttestation = {
      type: 'sev/maker-attestation/v1',
      consortium,
      makerKeyId: KEY_ID,
      publicKey: request.publicKey,
      mspId,
      domain,
      tag,
    };
    return { makerKeyId: KEY_ID, tag, attestation: signStatement(statement, key) };
  };
}

/**
 * The same maker, for cars that lost their vehicle's key.
 *
 * @throws SevError KEY_MISSING where the home is not a maker's.
 */
export async function openRecoveryMaker(home: string): Promise<RecoveryMaker> {
  const { key, provisioningKey, secret } = await readMaker(home);
  // eslint-disable-next-line @typescript-eslint/require-await -- as in openMaker
  return async ({ request, vehicle, rotation, consortium }) => {
    const { vehicleId, mspId, domain, tag } = vehicle;
    checkOrigin(request, mspId, domain, provisioningKey, 'sev/key-recovery-request/v1');
    const isSameCar = vehicleTag(secret, request.provisioning.provisioningId, domain) === tag;
    if (!isSameCar || request.vehicleId !== vehicleId) {
      throw provisioningInvalid(`the car is not the one that was enrolled as ${vehicleId}`);
    }
    const { publicKey } = request;
    const content = { makerKeyId: KEY_ID, vehicleId, rotation, publicKey, mspId, domain, tag };
    const statement: KeyRecoveryAttestation = { type: 'sev/key-recovery/v1', consortium, ...content };
    return { makerKeyId: KEY_ID, attestation: signStatement(statement, key) };
  };
}

async function readMaker(home: string): Promise<{ key: KeyObject; provisioningKey: KeyObject; secret: Buffer }> {
  return {
    key: await readPrivateKey(inHome.makerKey(home)),
    provisioningKey: createPublicKey(await readPrivateKey(inHome.provisioningKey(home))),
    secret: await readSecret(inHome.makerSecret(home)),
  };
}

async function readSecret(path: string): Promise<Buffer> {
  const text = await readIfThere(path);
  if (text === undefined) {
    throw new SevError('KEY_MISSING', `${path} is missing`, {
      hint: 'Without the secret the same car would get another tag; restore it from a backup.',
      exitCode: EXIT.usage,
    });
  }
  return Buffer.from(text.toString('utf8').trim(), 'hex');
}

/** A car has one provisioning certificate, so whoever asks with it and its key is that car. */
function checkOrigin(
  request: VehicleRequest,
  mspId: string,
  domain: Domain,
  provisioningKey: KeyObject,
  type: RequestType = 'sev/enrollment-request/v1',
): void {
  const { provisioning, provisioningProof } = request;
  if (!isProvisionedBy(provisioningKey, provisioning)) {
    throw provisioningInvalid('the provisioning certificate is not of this maker');
  }
  if (!isRequestedWith(provisioning.publicKey, request, provisioningProof, type)) {
    throw provisioningInvalid('the request is not signed with the provisioning key of the car');
  }
  if (request.domain !== domain || (request.mspId ?? mspId) !== mspId) {
    throw provisioningInvalid(`the car asks ${request.mspId ?? 'any organisation'} for domain ${request.domain}`);
  }
}

/** tag = HMAC-SHA-256(secret, provisioning id ‖ 0x00 ‖ domain), hex: one for each car and domain. */
export function vehicleTag(secret: Uint8Array, provisioningId: string, domain: Domain): string {
  return createHmac('sha256', secret)
    .update(provisioningId)
    .update(Buffer.from([0]))
    .update(domain)
    .digest('hex');
}
