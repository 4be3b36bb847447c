// SPDX-License-Identifier: Apache-2.0
import type { RecoverKey } from '@sev/chaincode/api';
import { governance, registry } from '../ledger/contracts.js';
import type { LedgerSession } from '../ledger/session.js';
import { mapConcurrently } from '../services/concurrency.js';
import { CA_REQUESTS } from './ca.js';
import { notAfterMs, parseCertificate } from './certificates.js';
import { assertRequests, requestInvalid, type EnrollmentOutcome } from './enrollment.js';
import { certificateFor } from './issued.js';
import type { RecoveryMaker } from './maker.js';
import { isRequestedWith } from './provisioning.js';
import { orRefusal } from './refusal.js';
import { certifies, type Registrar } from './registrar.js';
import type { IssuedCertificate, VehicleRequest } from './vehicles.js';

export interface RecoverKeysOptions {
  /** Of an identity with the role `registrar`, of the organisation that the vehicles belong to. */
  readonly session: LedgerSession;
  readonly registrar: Registrar;
  /** The registrar's home. */
  readonly home: string;
  readonly maker: RecoveryMaker;
  /** What `requestRecovery` returned. */
  readonly requests: readonly VehicleRequest[];
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Gives vehicles that lost their keys others: attestation from the maker, certificate from the CA, ledger. It can be
 * broken off and repeated at any point. `known` in an outcome says that the ledger had the key before.
 *
 * @returns one outcome for each request, in order; a refusal of one does not stop the others.
 * @throws SevError REQUEST_INVALID; SevError, LedgerError where nothing more can be done.
 */
export async function recoverKeys(options: RecoverKeysOptions): Promise<EnrollmentOutcome[]> {
  const { session, requests, onProgress } = options;
  assertRequests(requests);
  const { bootstrapHash } = await governance(session).consortium();
  let done = 0;
  return mapConcurrently(requests, CA_REQUESTS, async (request): Promise<EnrollmentOutcome> => {
    const { vehicleId } = request;
    const outcome = await orRefusal(() => recover(options, bootstrapHash, request));
    onProgress?.((done += 1), requests.length);
    return 'code' in outcome ? { vehicleId, accepted: false, known: false, ...outcome } : outcome;
  });
}

async function recover(
  { session, registrar, home, maker }: RecoverKeysOptions,
  consortium: string,
  request: VehicleRequest,
): Promise<EnrollmentOutcome> {
  const { vehicleId, publicKey, proof } = request;
  if (!isRequestedWith(publicKey, request, proof, 'sev/key-recovery-request/v1')) {
    return requestInvalid(vehicleId, 'the request is not signed with the key that it names', ASK_AGAIN);
  }
  const contract = registry(session);
  const vehicle = await contract.vehicle(vehicleId);
  const isKnown = vehicle.publicKey === publicKey;
  const rotation = vehicle.keyRotations + 1;
  // The maker decides first: the CA certifies no key that no maker vouches for.
  const attested = isKnown ? undefined : await maker({ request, vehicle, rotation, consortium });
  const certificate = await certificateFor(registrar, home, request);
  if (!certifies(certificate, publicKey)) {
    return requestInvalid(vehicleId, 'the certificate request is for another key than the one named', ASK_AGAIN);
  }
  const issued: IssuedCertificate = { vehicleId, mspId: registrar.organisation.mspId, certificate };
  if (attested !== undefined) {
    const certificateNotAfterMs = notAfterMs(parseCertificate(certificate));
    const argument: RecoverKey = { vehicleId, rotation, publicKey, certificateNotAfterMs, ...attested };
    await contract.recoverKey(argument);
  }
  return { vehicleId, accepted: true, known: isKnown, issued };
}

const ASK_AGAIN = 'Write the request again with `sev vehicle rotate --lost`.';
