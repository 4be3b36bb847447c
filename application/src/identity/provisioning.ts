// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, createPublicKey, randomBytes, type KeyObject } from 'node:crypto';
import {
  parsePublicKey,
  publicKey,
  publicKeyText,
  signStatement,
  signature,
  verifyStatement,
  type Domain,
  type PublicKeyText,
} from '@sev/chaincode/api';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { EXIT, SevError, messageOf } from '../errors.js';
import { newPrivateKey, privateKeyPem, readPrivateKey } from './keys.js';

/** What a maker signs in its factory: this key lies in the car with this id. */
export interface ProvisioningStatement {
  readonly type: 'sev/provisioning/v1';
  readonly provisioningId: string;
  readonly publicKey: PublicKeyText;
}

/** What a car asks for: an identity, or another key for the identity that it has. */
export type RequestType = 'sev/enrollment-request/v1' | 'sev/key-recovery-request/v1';

/** What a car signs, with its provisioning key and with the vehicle's own, to ask for it. */
export interface RequestStatement {
  readonly type: RequestType;
  readonly vehicleId: string;
  /** The vehicle's own key. */
  readonly publicKey: PublicKeyText;
  readonly domain: Domain;
  /** The organisation that is asked; absent where the car leaves that open. */
  readonly mspId?: string;
}

export const provisioningCertificate = z.object({
  provisioningId: z.string().regex(/^[0-9a-f]{32}$/, '16 bytes in lower-case hex'),
  publicKey,
  /** The maker's, over the {@link ProvisioningStatement}. */
  signature,
});
/** Shows its maker, and nobody else, which car asks. */
export type ProvisioningCertificate = Readonly<z.infer<typeof provisioningCertificate>>;

export const provisionedCar = provisioningCertificate.extend({
  /** PKCS #8 PEM; it stays in the car for good. */
  privateKey: z.string().min(1).max(1_000),
});
/** What the factory puts into one car. */
export type ProvisionedCar = Readonly<z.infer<typeof provisionedCar>>;
export const provisionedCars = z.array(provisionedCar).min(1).max(100_000);

/**
 * The factory's step, in the maker's home: a random id, a key pair and a certificate for each car. The maker keeps
 * nothing of them; its signature is what it knows its cars by.
 *
 * @throws SevError KEY_MISSING where the home is not a maker's.
 */
export async function provisionCars(makerHome: string, count: number): Promise<ProvisionedCar[]> {
  const makerKey = await readPrivateKey(inHome.provisioningKey(makerHome));
  return Array.from({ length: count }, () => provisionCar(makerKey));
}

function provisionCar(makerKey: KeyObject): ProvisionedCar {
  const key = newPrivateKey();
  const content = {
    provisioningId: randomBytes(16).toString('hex'),
    publicKey: publicKeyText(createPublicKey(key)),
  };
  const statement: ProvisioningStatement = { type: 'sev/provisioning/v1', ...content };
  return { ...content, signature: signStatement(statement, makerKey), privateKey: privateKeyPem(key) };
}

/** The private key of a car, which must be the one that its certificate names. @throws SevError PROVISIONING_INVALID. */
export function provisioningKeyOf(car: ProvisionedCar): KeyObject {
  const key = privateKeyIn(car);
  if (publicKeyText(createPublicKey(key)) !== car.publicKey) {
    throw provisioningInvalid('the private key is not that of the provisioning certificate');
  }
  return key;
}

function privateKeyIn(car: ProvisionedCar): KeyObject {
  try {
    return createPrivateKey(car.privateKey);
  } catch (error) {
    throw provisioningInvalid(`no private key: ${messageOf(error)}`);
  }
}

/** True where this maker's factory made the certificate. */
export function isProvisionedBy(makerKey: KeyObject, certificate: ProvisioningCertificate): boolean {
  const { provisioningId, publicKey } = certificate;
  const statement: ProvisioningStatement = { type: 'sev/provisioning/v1', provisioningId, publicKey };
  return verifyStatement(statement, certificate.signature, makerKey);
}

export function requestStatement(
  content: Readonly<{ vehicleId: string; publicKey: string; domain: Domain; mspId?: string | undefined }>,
  type: RequestType = 'sev/enrollment-request/v1',
): RequestStatement {
  const { vehicleId, publicKey, domain, mspId } = content;
  const asked = mspId === undefined ? {} : { mspId };
  return { type, vehicleId, publicKey, domain, ...asked };
}

/** True where whoever holds this key's private part signed the request. */
export function isRequestedWith(
  key: PublicKeyText,
  request: Parameters<typeof requestStatement>[0],
  proof: string,
  type?: RequestType,
): boolean {
  const parsed = parsePublicKey(key);
  return parsed !== undefined && verifyStatement(requestStatement(request, type), proof, parsed);
}

export function provisioningInvalid(what: string): SevError {
  return new SevError('PROVISIONING_INVALID', what, {
    hint: "Use what the car's maker put into it (`sev vehicle provision` at the maker), for the organisation it is meant for.",
    exitCode: EXIT.refused,
  });
}
