// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { inHome, organisationNamed, readConnectionProfile, readRegistrar } from '../config/index.js';
import { SevError } from '../errors.js';
import {
  assertAllAccepted,
  enrollVehicles,
  initVehicles,
  installCertificates,
  openMaker,
  openRegistrar,
  openWallet,
  pendingRequests,
  provisionCars,
  vehiclesIn,
  type EnrollmentOutcome,
  type VehicleRequest,
} from '../identity/index.js';
import { openSession, registry } from '../ledger/index.js';

/** Name of the organisation whose home holds the maker's key. */
const MAKER = 'maker';

export interface EnrollRequestsOptions {
  /** Organisation that enrols. */
  readonly org: string;
  /** Folder of the organisations' homes; the maker's key lies in one of them. */
  readonly homes: string;
  readonly requests: readonly VehicleRequest[];
  readonly onProgress?: (done: number, total: number) => void;
}

/** Enrols what vehicles ask for. @returns one outcome for each request, refusals included. */
export async function enrollRequests(options: EnrollRequestsOptions): Promise<EnrollmentOutcome[]> {
  const { org, homes, requests, onProgress } = options;
  const profile = await readConnectionProfile();
  const organisation = organisationNamed(profile, org);
  const home = join(homes, organisation.name);
  const registrar = await openRegistrar(organisation, home, () => readRegistrar(organisation.name));
  const wallet = await openWallet(inHome.wallet(home));
  const session = await openSession({ profile, identity: await wallet.get('registrar') });
  try {
    return await enrollVehicles({
      session,
      registrar,
      home,
      maker: await openMaker(join(homes, MAKER)),
      requests,
      onProgress: ({ step, done, total }) => {
        // Certificates take nearly all of the time; the ledger is asked for 50 at once.
        onProgress?.(step === 'certificates' ? done : total, total);
      },
    });
  } finally {
    session.close();
  }
}

export interface FleetOptions {
  readonly org: string;
  readonly homes: string;
  /** Home of the fleet. */
  readonly home: string;
  /** Vehicles that are wanted. */
  readonly count: number;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Fleet {
  /** Ids of `count` enrolled, active vehicles, sorted. */
  readonly vehicles: readonly string[];
  readonly enrolled: number;
  readonly reused: number;
}

/**
 * Sees to it that the fleet's home holds `count` vehicles that may take part: those that are enrolled and active are
 * used again, requests that were left over are finished, and only the missing ones are made, cars that the maker provisions
 * included.
 */
export async function enrollFleet(options: FleetOptions): Promise<Fleet> {
  const { org, homes, home, count, onProgress } = options;
  const present = await activeVehicles(options);
  const missing = Math.max(0, count - present.length);
  if (missing > 0) {
    const { mspId } = organisationNamed(await readConnectionProfile(), org);
    const open = (await pendingRequests(home)).filter((request) => (request.mspId ?? mspId) === mspId);
    const pending = open.slice(0, missing);
    // Never in a file but that of the fleet's home.
    const cars = await provisionCars(join(homes, MAKER), missing - pending.length);
    const requests = [...pending, ...(await initVehicles({ home, cars, mspId }))];
    const outcomes = await enrollRequests({
      org,
      homes,
      requests,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    await installCertificates(
      home,
      outcomes.flatMap((outcome) => (outcome.issued === undefined ? [] : [outcome.issued])),
    );
    assertAllAccepted(outcomes);
  }
  const vehicles = missing > 0 ? await activeVehicles(options) : present;
  if (vehicles.length < count) {
    throw new SevError('VEHICLES_MISSING', `${String(vehicles.length)} of ${String(count)} vehicles could be enrolled`);
  }
  return { vehicles: vehicles.slice(0, count), enrolled: missing, reused: Math.min(present.length, count) };
}

/** Ids of the home's vehicles that the ledger of the present network knows as active. */
async function activeVehicles({ org, homes, home }: FleetOptions): Promise<string[]> {
  const installed = (await vehiclesIn(home)).filter((vehicle) => vehicle.installed);
  if (installed.length === 0) {
    return [];
  }
  const profile = await readConnectionProfile();
  const wallet = await openWallet(inHome.wallet(join(homes, org)));
  const session = await openSession({ profile, identity: await wallet.get('registrar') });
  try {
    const active = new Set<string>();
    for await (const { vehicleId, status, certificateNotAfterMs } of registry(session).vehicles()) {
      if (status === 'active' && certificateNotAfterMs > Date.now()) {
        active.add(vehicleId);
      }
    }
    return installed.map(({ vehicleId }) => vehicleId).filter((id) => active.has(id));
  } finally {
    session.close();
  }
}
