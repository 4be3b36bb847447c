// SPDX-License-Identifier: Apache-2.0
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setVehicleStatus, type VehicleRecord } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { organisationNamed, readRegistrar, type ConnectionProfile } from '../config/profile.js';
import { EXIT, SevError, systemCode } from '../errors.js';
import { registry } from '../ledger/contracts.js';
import { LedgerError } from '../ledger/errors.js';
import { openSession } from '../ledger/gateway-session.js';
import type { LedgerSession } from '../ledger/session.js';
import { mapConcurrently } from '../services/concurrency.js';
import { CA_REQUESTS, type RevocationReason } from './ca.js';
import { openRegistrar } from './registrar.js';
import { identityOf, openWallet } from './wallet.js';

/** Transactions under way at a time: what one gateway takes well. */
const SUBMISSIONS = 50;

export interface RevokeVehiclesOptions {
  readonly profile: ConnectionProfile;
  /** Folder of the organisations' homes; those of the vehicles' organisations are needed. */
  readonly homes: string;
  /** Home of the network, where the CA registrars' credentials lie; default as for `readRegistrar`. */
  readonly networkHome?: string;
  readonly vehicleIds: readonly string[];
  /** On the ledger for good, so nothing personal. */
  readonly reason: string;
  /** What the CA's list says; default `unspecified`. */
  readonly caReason?: RevocationReason;
  readonly onProgress?: (progress: RevocationProgress) => void;
}

export interface RevocationProgress {
  readonly step: 'ledger' | 'ca';
  readonly done: number;
  readonly total: number;
}

/** What is left to do for one organisation: its list belongs into the channel's configuration. */
export interface OrganisationRevocation {
  readonly name: string;
  readonly mspId: string;
  readonly vehicleIds: readonly string[];
  /** The CA's list of all certificates that it has revoked, PEM: it replaces the list before. */
  readonly crlPem: string;
}

export interface RevocationResult {
  readonly organisations: readonly OrganisationRevocation[];
  /** Vehicles that the ledger did not hold as revoked before. */
  readonly revokedOnLedger: number;
  /** Certificates that the CAs had not revoked before. */
  readonly revokedCertificates: number;
}

/**
 * Revokes vehicles: first all of them on the ledger, where it works at once, then at their CAs, which stop certifying
 * them and list their certificates. It can be broken off and repeated at any point. That peers turn the certificates
 * away as well takes a third step, the lists in the channel's configuration, which is the network's.
 *
 * @throws SevError USAGE for a reason that the ledger would not take; LedgerError VEHICLE_UNKNOWN before anything is
 *   changed; SevError IDENTITY_MISSING, CA_UNREACHABLE, CA_REFUSED, CA_IDENTITY_UNKNOWN; LedgerError.
 */
export async function revokeVehicles(options: RevokeVehiclesOptions): Promise<RevocationResult> {
  const vehicleIds = [...new Set(options.vehicleIds)];
  vehicleIds.forEach((vehicleId) => {
    checkArgument(vehicleId, options.reason);
  });
  const [first] = vehicleIds;
  if (first === undefined) {
    return { organisations: [], revokedOnLedger: 0, revokedCertificates: 0 };
  }
  const vehicles = await readVehicles(options, vehicleIds);
  const byMsp = [...new Set(vehicles.map(({ mspId }) => mspId))].map(
    (mspId) => [mspId, vehicles.filter((vehicle) => vehicle.mspId === mspId)] as const,
  );
  const revokedOnLedger = vehicles.filter(({ status }) => status !== 'revoked').length;
  let done = 0;
  const onLedger = (): void => {
    options.onProgress?.({ step: 'ledger', done: (done += 1), total: revokedOnLedger });
  };
  for (const [mspId, own] of byMsp) {
    await withRegistrar(options, mspId, (session) => revokeOnLedger(session, own, options.reason, onLedger));
  }
  const organisations: OrganisationRevocation[] = [];
  let revokedCertificates = 0;
  let atCa = 0;
  const onCa = (): void => {
    options.onProgress?.({ step: 'ca', done: (atCa += 1), total: vehicles.length });
  };
  for (const [mspId, own] of byMsp) {
    const { revoked, ...organisation } = await revokeAtCa(options, mspId, own, onCa);
    revokedCertificates += revoked;
    organisations.push(organisation);
  }
  return { organisations, revokedOnLedger, revokedCertificates };
}

function checkArgument(vehicleId: string, reason: string): void {
  const issue = setVehicleStatus.safeParse({ vehicleId, status: 'revoked', reason }).error?.issues[0];
  if (issue !== undefined) {
    throw new SevError('USAGE', `${issue.path.join('.')}: ${issue.message}`, { exitCode: EXIT.usage });
  }
}

/** The vehicles' records, read with the identity of the first organisation whose home is here. */
async function readVehicles(options: RevokeVehiclesOptions, vehicleIds: readonly string[]): Promise<VehicleRecord[]> {
  for (const { mspId, name } of options.profile.organisations) {
    if (await isThere(inHome.wallet(join(options.homes, name)))) {
      return withRegistrar(options, mspId, (session) => readAll(session, vehicleIds));
    }
  }
  throw new SevError('IDENTITY_MISSING', `${options.homes} holds no home of an organisation with a registrar`, {
    hint: "Name the folder of the organisations' homes with --homes.",
    exitCode: EXIT.usage,
  });
}

/** @throws LedgerError VEHICLE_UNKNOWN */
async function readAll(session: LedgerSession, vehicleIds: readonly string[]): Promise<VehicleRecord[]> {
  const vehicles = await registry(session).findVehicles(vehicleIds);
  const found = new Set(vehicles.map(({ vehicleId }) => vehicleId));
  const unknown = vehicleIds.find((vehicleId) => !found.has(vehicleId));
  if (unknown !== undefined) {
    throw new LedgerError('VEHICLE_UNKNOWN', unknown);
  }
  return vehicles;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') {
      return false;
    }
    throw error;
  }
}

/** Label of the identity that vehicles are enrolled and revoked with. */
const REGISTRAR = 'registrar';

async function withRegistrar<T>(
  { profile, homes }: RevokeVehiclesOptions,
  mspId: string,
  use: (session: LedgerSession) => Promise<T>,
): Promise<T> {
  const organisation = organisationNamed(profile, mspId);
  const wallet = await openWallet(inHome.wallet(join(homes, organisation.name)));
  const session = await openSession({ profile, identity: await identityOf(organisation, wallet, REGISTRAR) });
  try {
    return await use(session);
  } finally {
    session.close();
  }
}

async function revokeOnLedger(
  session: LedgerSession,
  vehicles: readonly VehicleRecord[],
  reason: string,
  onDone: () => void,
): Promise<void> {
  const due = vehicles.filter(({ status }) => status !== 'revoked');
  await mapConcurrently(due, SUBMISSIONS, async ({ vehicleId }) => {
    await registry(session).setVehicleStatus({ vehicleId, status: 'revoked', reason });
    onDone();
  });
}

async function revokeAtCa(
  { profile, homes, networkHome, caReason = 'unspecified' }: RevokeVehiclesOptions,
  mspId: string,
  vehicles: readonly VehicleRecord[],
  onDone: () => void,
): Promise<OrganisationRevocation & { readonly revoked: number }> {
  const organisation = organisationNamed(profile, mspId);
  const { name } = organisation;
  const registrar = await openRegistrar(organisation, join(homes, name), () => readRegistrar(name, networkHome));
  const counts = await mapConcurrently(vehicles, CA_REQUESTS, async ({ vehicleId }) => {
    const count = await registrar.revoke(vehicleId, caReason);
    onDone();
    return count;
  });
  const revoked = counts.reduce((sum, count) => sum + count, 0);
  const vehicleIds = vehicles.map(({ vehicleId }) => vehicleId);
  return { name, mspId, vehicleIds, crlPem: await registrar.revocationList(), revoked };
}
