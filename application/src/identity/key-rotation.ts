// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { signStatement, type KeyRotationStatement, type RotateKey, type VehicleRecord } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { organisationNamed, type ConnectionProfile, type OrganisationProfile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { governance, registry } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import type { LedgerSession } from '../ledger/session.js';
import { mapConcurrently } from '../services/concurrency.js';
import { CA_REQUESTS, openCertificateAuthority, type CertificateAuthority } from './ca.js';
import { certifiedKey, isIssuedBy, notAfterMs, parseCertificate } from './certificates.js';
import { certificateRequest } from './csr.js';
import { sweepVehicleKeys } from './leftovers.js';
import { dropNextKey, nextKey, putNextCertificate, type NextKey } from './next-keys.js';
import { orRefusal, type Refusal } from './refusal.js';
import type { StoredIdentity } from './stored-identity.js';
import { openWallet, type IdentityWallet } from './wallet.js';

export interface RotateVehiclesOptions {
  readonly profile: ConnectionProfile;
  /** Home of the vehicle, or of a pool of vehicles. */
  readonly home: string;
  readonly vehicleIds: readonly string[];
  readonly onProgress?: (done: number, total: number) => void;
}

/** What became of one vehicle's change of key. */
export type RotationOutcome = { readonly vehicleId: string } & (
  { readonly accepted: true; readonly record: VehicleRecord } | ({ readonly accepted: false } & Refusal)
);

/**
 * Gives vehicles other keys: new key on disk, certificate from the CA by the word of the present one, ledger, wallet, in
 * this order. Broken off anywhere, the same call goes on with the same key; a vehicle that has finished gets a further
 * key only by a further call.
 *
 * @returns one outcome for each vehicle, in order; a refusal of one does not stop the others.
 * @throws SevError IDENTITY_MISSING; CA_UNREACHABLE, LedgerError LEDGER_UNREACHABLE and the like.
 */
export async function rotateVehicles(options: RotateVehiclesOptions): Promise<RotationOutcome[]> {
  const { profile, home, vehicleIds, onProgress } = options;
  const wallet = await openWallet(inHome.wallet(home));
  await sweepVehicleKeys(home);
  const authorities = new Map<string, Promise<CertificateAuthority>>();
  const authorityOf = (organisation: OrganisationProfile): Promise<CertificateAuthority> => {
    const opened = authorities.get(organisation.mspId) ?? openCertificateAuthority(organisation);
    authorities.set(organisation.mspId, opened);
    return opened;
  };
  let done = 0;
  return mapConcurrently(vehicleIds, CA_REQUESTS, async (vehicleId): Promise<RotationOutcome> => {
    const present = await wallet.get(vehicleId);
    const organisation = organisationNamed(profile, present.mspId);
    const outcome = await orRefusal(async () => {
      const authority = await authorityOf(organisation);
      return rotate({ profile, home, wallet, organisation, authority, present });
    });
    onProgress?.((done += 1), vehicleIds.length);
    return 'code' in outcome
      ? { vehicleId, accepted: false, ...outcome }
      : { vehicleId, accepted: true, record: outcome };
  });
}

interface Rotation {
  readonly profile: ConnectionProfile;
  readonly home: string;
  readonly wallet: IdentityWallet;
  readonly organisation: OrganisationProfile;
  readonly authority: CertificateAuthority;
  /** The identity in the wallet: still the one before, or the new one where only tidying up is left. */
  readonly present: StoredIdentity;
}

async function rotate(rotation: Rotation): Promise<VehicleRecord> {
  const { profile, home, wallet, present } = rotation;
  const next = await nextKey(home, present.label);
  const certificate = await certificateOf(rotation, next);
  const identity = { ...present, certificate, privateKey: next.privateKey };
  const session = await openSession({ profile, identity });
  try {
    const record = await recordKey(session, present, next, certificate);
    await wallet.put(identity);
    await dropNextKey(home, present.label);
    return record;
  } finally {
    session.close();
  }
}

/** The certificate of the next key; kept before the ledger hears of it. */
async function certificateOf({ home, organisation, authority, present }: Rotation, next: NextKey): Promise<string> {
  if (next.certificate !== undefined && isGood(next.certificate, next, organisation)) {
    return next.certificate;
  }
  if (isGood(present.certificate, next, organisation)) {
    return present.certificate;
  }
  const certificate = await authority.reenrol(
    present,
    certificateRequest(present.label, createPrivateKey(next.privateKey)),
  );
  if (!isGood(certificate, next, organisation)) {
    throw new SevError('CERTIFICATE_INVALID', `The CA of ${organisation.name} issued a certificate for another key`, {
      exitCode: EXIT.integrity,
    });
  }
  await putNextCertificate(home, present.label, certificate);
  return certificate;
}

function isGood(pem: string, { publicKey }: NextKey, organisation: OrganisationProfile): boolean {
  const certificate = parseCertificate(pem);
  return certifiedKey(certificate) === publicKey && isIssuedBy(certificate, organisation.identityCaCert);
}

/** Has the ledger take the new key, unless it has done so already. */
async function recordKey(
  session: LedgerSession,
  present: StoredIdentity,
  next: NextKey,
  certificate: string,
): Promise<VehicleRecord> {
  const contract = registry(session);
  const vehicle = await contract.vehicle(present.label);
  if (vehicle.publicKey === next.publicKey) {
    return vehicle;
  }
  if (vehicle.publicKey !== certifiedKey(parseCertificate(present.certificate))) {
    throw new SevError('KEY_NOT_ENROLLED', `The ledger holds another key of ${present.label} than the wallet`, {
      hint: 'Somebody else has changed it, or this is an old copy of the home: `sev vehicle show` tells, `sev vehicle rotate --lost` asks for another key.',
      exitCode: EXIT.refused,
    });
  }
  const { bootstrapHash } = await governance(session).consortium();
  const statement: KeyRotationStatement = {
    type: 'sev/rotate-key/v1',
    consortium: bootstrapHash,
    vehicleId: present.label,
    rotation: vehicle.keyRotations + 1,
    publicKey: next.publicKey,
    certificateNotAfterMs: notAfterMs(parseCertificate(certificate)),
  };
  const { type: _type, consortium: _consortium, ...asked } = statement;
  const argument: RotateKey = {
    ...asked,
    previousKeyProof: signStatement(statement, createPrivateKey(present.privateKey)),
    newKeyProof: signStatement(statement, createPrivateKey(next.privateKey)),
  };
  const { result } = await contract.rotateKey(argument);
  return result;
}
