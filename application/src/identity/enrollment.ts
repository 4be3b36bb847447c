// SPDX-License-Identifier: Apache-2.0
import type { Domain, Enrollment, ItemResult, Policy, VehicleRecord } from '@sev/chaincode/api';
import { EXIT, SevError, hasCode } from '../errors.js';
import { governance, registry } from '../ledger/contracts.js';
import { hintFor } from '../ledger/errors.js';
import type { LedgerSession } from '../ledger/session.js';
import { mapConcurrently } from '../services/concurrency.js';
import { CA_REQUESTS } from './ca.js';
import { notAfterMs, parseCertificate } from './certificates.js';
import { certificateFor } from './issued.js';
import type { AttestationRequest, Attested, Maker } from './maker.js';
import { isRequestedWith } from './provisioning.js';
import { certifies, type Registrar } from './registrar.js';
import { vehicleRequest, type IssuedCertificate, type VehicleRequest } from './vehicles.js';

/** registry:EnrollVehicles takes this many at the most. */
const BATCH = 50;
/** Other registrars may take the slots that were free a moment ago. */
const SLOT_TRIES = 8;

export interface EnrollmentOutcome {
  readonly vehicleId: string;
  readonly accepted: boolean;
  /** True where the ledger held the vehicle before. */
  readonly known: boolean;
  readonly issued?: IssuedCertificate;
  readonly code?: string;
  readonly detail?: string;
  /** What can be done about a refusal that did not come from the ledger. */
  readonly hint?: string | undefined;
}

export interface EnrollmentProgress {
  readonly step: 'certificates' | 'ledger';
  readonly done: number;
  readonly total: number;
}

export interface EnrollVehiclesOptions {
  /** Of an identity with the role `registrar`, of the organisation that enrols. */
  readonly session: LedgerSession;
  readonly registrar: Registrar;
  /** The registrar's home. */
  readonly home: string;
  readonly maker: Maker;
  readonly requests: readonly VehicleRequest[];
  /** Default `learning`. */
  readonly domain?: Domain;
  readonly onProgress?: (progress: EnrollmentProgress) => void;
}

interface Candidate {
  readonly vehicleId: string;
  readonly issued: IssuedCertificate;
  readonly enrollment: Omit<Enrollment, 'quotaSlot' | 'rateSlot'>;
}

/**
 * Enrols vehicles: attestation from the maker, certificate from the CA, record on the ledger. It can be broken off and
 * repeated at any point: vehicles that the ledger holds are left as they are, certificates that were issued are used.
 *
 * @returns one outcome for each request, in order; a refusal of one does not stop the others.
 * @throws SevError REQUEST_INVALID where a request does not have the documented form, or two name the same vehicle.
 * @throws SevError, LedgerError where nothing more can be done (CA or ledger unreachable, caller refused).
 */
export async function enrollVehicles(options: EnrollVehiclesOptions): Promise<EnrollmentOutcome[]> {
  const { session, requests, domain = 'learning', onProgress } = options;
  const total = requests.length;
  assertRequests(requests);
  if (total === 0) {
    return [];
  }
  const { policy, bootstrapHash } = await governance(session).consortium();
  let certified = 0;
  const found = await registry(session).findVehicles(requests.map(({ vehicleId }) => vehicleId));
  const records = new Map(found.map((record) => [record.vehicleId, record]));
  const candidates = await mapConcurrently(requests, CA_REQUESTS, async (request) => {
    const record = records.get(request.vehicleId);
    const candidate = await prepare(options, { domain, consortium: bootstrapHash }, request, record);
    certified += 1;
    onProgress?.({ step: 'certificates', done: certified, total });
    return candidate;
  });

  const outcomes = new Map<string, EnrollmentOutcome>();
  const open: Candidate[] = [];
  for (const candidate of candidates) {
    if ('accepted' in candidate) {
      outcomes.set(candidate.vehicleId, candidate);
    } else {
      open.push(candidate);
    }
  }
  onProgress?.({ step: 'ledger', done: outcomes.size, total });
  for (let from = 0; from < open.length; from += BATCH) {
    const batch = open.slice(from, from + BATCH);
    for (const outcome of await enrolBatch(session, batch, domain, policy)) {
      outcomes.set(outcome.vehicleId, outcome);
    }
    onProgress?.({ step: 'ledger', done: outcomes.size, total });
  }
  return requests.map(({ vehicleId }) => outcomes.get(vehicleId) ?? unanswered(vehicleId));
}

/** @throws SevError REQUEST_INVALID where a request does not have the documented form, or two name the same vehicle. */
export function assertRequests(requests: readonly VehicleRequest[]): void {
  requests.forEach(assertWellFormed);
  assertDistinct(requests);
}

/** Requests come from outside, and their ids become names of files. */
function assertWellFormed(request: VehicleRequest, index: number): void {
  const issue = vehicleRequest.safeParse(request).error?.issues[0];
  if (issue !== undefined) {
    const where = [`request ${String(index + 1)}`, ...issue.path].join(', ');
    throw new SevError('REQUEST_INVALID', `${where}: ${issue.message}`, { exitCode: EXIT.usage });
  }
}

/** Each vehicle has one outcome, and one file for its certificate. */
function assertDistinct(requests: readonly VehicleRequest[]): void {
  const first = new Map<string, number>();
  requests.forEach(({ vehicleId }, index) => {
    const earlier = first.get(vehicleId);
    if (earlier !== undefined) {
      const both = `requests ${String(earlier + 1)} and ${String(index + 1)}`;
      throw new SevError('REQUEST_INVALID', `${both} name the same vehicle ${vehicleId}`, {
        hint: 'Leave one of them out.',
        exitCode: EXIT.usage,
      });
    }
    first.set(vehicleId, index);
  });
}

/** Attestation and certificate of one vehicle, or its outcome where that is decided already. */
async function prepare(
  options: EnrollVehiclesOptions,
  scope: Pick<AttestationRequest, 'domain' | 'consortium'>,
  request: VehicleRequest,
  record: VehicleRecord | undefined,
): Promise<Candidate | EnrollmentOutcome> {
  const { registrar, home, maker } = options;
  const { vehicleId, publicKey, proof } = request;
  const { mspId } = registrar.organisation;
  if (record !== undefined && (record.publicKey !== publicKey || record.mspId !== mspId)) {
    const detail = 'the ledger holds this vehicle id with another key or organisation';
    return { vehicleId, accepted: false, known: true, code: 'VEHICLE_CONFLICT', detail };
  }
  if (!isRequestedWith(publicKey, request, proof)) {
    return requestInvalid(vehicleId, 'the request is not signed with the key that it names');
  }
  // The maker decides first: the CA knows no car that no maker knows.
  const attested = record === undefined ? await attestationOf(maker, { ...scope, request, mspId }) : undefined;
  if (attested !== undefined && 'accepted' in attested) {
    return attested;
  }
  const certificate = await certificateFor(registrar, home, request);
  if (!certifies(certificate, publicKey)) {
    return requestInvalid(vehicleId, 'the certificate request is for another key than the one named');
  }
  const issued = { vehicleId, mspId, certificate };
  if (attested === undefined) {
    return { vehicleId, accepted: true, known: true, issued };
  }
  const certificateNotAfterMs = notAfterMs(parseCertificate(certificate));
  return { vehicleId, issued, enrollment: { vehicleId, publicKey, certificateNotAfterMs, ...attested } };
}

async function attestationOf(maker: Maker, asked: AttestationRequest): Promise<Attested | EnrollmentOutcome> {
  try {
    return await maker(asked);
  } catch (error) {
    if (!hasCode(error, 'PROVISIONING_INVALID')) {
      throw error;
    }
    const { code, message: detail, hint } = error;
    return { vehicleId: asked.request.vehicleId, accepted: false, known: false, code, detail, hint };
  }
}

export function requestInvalid(
  vehicleId: string,
  detail: string,
  hint = 'Write the request again with `sev vehicle init`.',
): EnrollmentOutcome {
  return { vehicleId, accepted: false, known: false, code: 'REQUEST_INVALID', detail, hint };
}

/** Submits one batch, asking for other slots as long as items are refused for theirs. */
async function enrolBatch(
  session: LedgerSession,
  batch: readonly Candidate[],
  domain: Domain,
  policy: Policy,
): Promise<EnrollmentOutcome[]> {
  const contract = registry(session);
  const outcomes: EnrollmentOutcome[] = [];
  let open = batch;
  for (let tries = 1; open.length > 0; tries++) {
    const window = Math.floor(Date.now() / policy.enrollmentWindowMs);
    const free = await contract.freeSlots({ mspId: session.mspId, domain, window, count: open.length });
    const room = Math.min(free.quotaSlots.length, free.rateSlots.length);
    const code = free.quotaSlots.length < open.length ? 'QUOTA_EXCEEDED' : 'RATE_EXCEEDED';
    outcomes.push(...open.slice(room).map((candidate) => withoutRoom(candidate.vehicleId, code, policy, window)));
    const fitting = open.slice(0, room);
    if (fitting.length === 0) {
      break;
    }
    const vehicles = fitting.map(({ enrollment }, i) => ({
      ...enrollment,
      quotaSlot: slot(free.quotaSlots, i),
      rateSlot: slot(free.rateSlots, i),
    }));
    const { result } = await contract.enrollVehicles({ domain, window, vehicles });
    const results = new Map(result.results.map((item) => [item.id, item]));
    const taken = (id: string) => results.get(id)?.code === 'SLOT_TAKEN' && tries < SLOT_TRIES;
    outcomes.push(...fitting.filter((c) => !taken(c.vehicleId)).map((c) => outcomeOf(c, results.get(c.vehicleId))));
    open = fitting.filter((c) => taken(c.vehicleId));
  }
  return outcomes;
}

function slot(slots: readonly number[], index: number): number {
  const found = slots[index];
  if (found === undefined) {
    throw new SevError('LEDGER_FAILED', 'The registry returned fewer slots than it said');
  }
  return found;
}

function outcomeOf(candidate: Candidate, item: ItemResult | undefined): EnrollmentOutcome {
  const { vehicleId, issued } = candidate;
  if (item === undefined) {
    return unanswered(vehicleId);
  }
  if (item.accepted) {
    return { vehicleId, accepted: true, known: false, issued };
  }
  return { vehicleId, accepted: false, known: false, code: item.code ?? 'LEDGER_FAILED', detail: item.detail ?? '' };
}

function withoutRoom(vehicleId: string, code: string, policy: Policy, window: number): EnrollmentOutcome {
  const next = new Date((window + 1) * policy.enrollmentWindowMs).toISOString();
  const detail =
    code === 'QUOTA_EXCEEDED'
      ? `the organisation's quota of ${String(policy.vehicleQuota)} vehicles is used up`
      : `${String(policy.enrollmentsPerWindow)} enrollments in this window are used up; the next begins at ${next}`;
  return { vehicleId, accepted: false, known: false, code, detail };
}

function unanswered(vehicleId: string): EnrollmentOutcome {
  return { vehicleId, accepted: false, known: false, code: 'LEDGER_FAILED', detail: 'the registry did not answer' };
}

/** @throws SevError with the code of the first refusal, where there is one. */
export function assertAllAccepted(outcomes: readonly EnrollmentOutcome[]): void {
  const refused = outcomes.filter((outcome) => !outcome.accepted);
  const first = refused[0];
  if (first !== undefined) {
    const others = refused.length === 1 ? '' : ` (and ${String(refused.length - 1)} more)`;
    throw new SevError(first.code ?? 'LEDGER_FAILED', `${first.vehicleId}: ${first.detail ?? 'refused'}${others}`, {
      hint: first.hint ?? hintFor(first.code ?? ''),
      exitCode: EXIT.refused,
    });
  }
}
