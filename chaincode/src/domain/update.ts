// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  canonicalJson,
  newVehicleData,
  TIME_MARGIN_MS,
  updateStatement,
  vehicleWordProblem,
  verifyStatement,
  type Envelope,
  type RoundRecord,
  type StandingRecord,
  type Task,
  type UpdateRecord,
  type VehicleDataRecord,
  type VehicleRecord,
} from '../api';
import { publicKeyOf } from './public-keys';

/** What the envelopes of a round are judged by. */
export interface UpdateTerms {
  /** The network that vehicles sign for. */
  readonly consortium: string;
  readonly round: RoundRecord;
  readonly task: Task;
  readonly nowMs: number;
}

/** What the ledger holds of an envelope's vehicle. */
export interface UpdateFacts {
  readonly vehicle: VehicleRecord | undefined;
  /** Whether the vehicle's organisation is still a member that may hold vehicles. */
  readonly member: boolean;
  /** The vehicle's update in this attempt, where one is recorded. */
  readonly recorded: UpdateRecord | undefined;
  /** Where the task has validators and rounds of it have evidence about the vehicle. */
  readonly standing: StandingRecord | undefined;
  /** Where the vehicle was drawn and has said something of its data in this task before. */
  readonly data: VehicleDataRecord | undefined;
}

/** What an envelope comes to: its update, and where it is the first to say something of its vehicle's data, their record. */
export interface DecidedUpdate {
  readonly update: UpdateRecord;
  readonly data: VehicleDataRecord | undefined;
}

/** Checks a whole batch of envelopes against the round they claim. */
export function checkAccepting(
  round: RoundRecord,
  claimed: { readonly attempt: number; readonly baseModelHash: string },
  nowMs: number,
): void {
  if (claimed.attempt !== round.attempt) {
    throw new ContractError('ROUND_STALE', `attempt ${claimed.attempt}; the ledger is at attempt ${round.attempt}`);
  }
  if (claimed.baseModelHash !== round.baseModelHash) {
    throw new ContractError('ROUND_STALE', `the base model of this attempt is ${round.baseModelHash}`);
  }
  if (round.state !== 'open') {
    throw new ContractError('ROUND_STATE', `the round is ${round.state}, not open`);
  }
  if (nowMs > round.deadlineMs + TIME_MARGIN_MS) {
    throw new ContractError('ROUND_DEADLINE_PASSED', `the deadline was ${round.deadlineMs}`);
  }
}

/**
 * Decides one envelope of an open round.
 *
 * @returns the update to write, or the record on the ledger where the same update is recorded already.
 * @throws ContractError with the code of the first rule that the envelope breaks.
 */
export function decideUpdate(terms: UpdateTerms, envelope: Envelope, facts: UpdateFacts): DecidedUpdate {
  const { consortium, round, task, nowMs } = terms;
  const vehicle = requireEligible(envelope.vehicleId, facts, nowMs);
  const classes = task.aggregation.weightClasses.length;
  if (envelope.weightClass >= classes) {
    throw new ContractError('ENVELOPE_MALFORMED', `weightClass: the task has ${classes}, counted from 0`);
  }
  const { taskId, round: number, attempt, baseModelHash } = round;
  const { signature, ...said } = envelope;
  const statement = updateStatement(consortium, { taskId, round: number, attempt, baseModelHash, ...said });
  const { type: _type, consortium: _network, ...content } = statement;
  const key = publicKeyOf(vehicle.publicKey);
  if (key === undefined || !verifyStatement(statement, signature, key)) {
    throw new ContractError('SIGNATURE_INVALID', 'not signed for this round with the key that the vehicle enrolled');
  }
  if (facts.recorded !== undefined) {
    if (!isSame(facts.recorded, envelope)) {
      throw new ContractError('UPDATE_DUPLICATE', 'another update of this vehicle is recorded in this attempt');
    }
    return { update: facts.recorded, data: undefined };
  }
  const problem = vehicleWordProblem(round.secure?.drawn, envelope, facts.data);
  if (problem !== undefined) {
    throw new ContractError(problem.code, problem.detail);
  }
  const update: UpdateRecord = { docType: 'update', schemaVersion: 1, ...content, signature, recordedAtMs: nowMs };
  return { update, data: newVehicleData(update, facts.data) };
}

function isSame(recorded: UpdateRecord, envelope: Envelope): boolean {
  const { updateHash, weightClass, validation } = recorded;
  const isSameWord = canonicalJson(validation ?? null) === canonicalJson(envelope.validation ?? null);
  return isSameWord && envelope.updateHash === updateHash && envelope.weightClass === weightClass;
}

function requireEligible(vehicleId: string, { vehicle, member, standing }: UpdateFacts, nowMs: number): VehicleRecord {
  if (vehicle?.domain !== 'learning') {
    throw new ContractError('VEHICLE_UNKNOWN', `${vehicleId} is not enrolled for learning`);
  }
  if (!member) {
    throw new ContractError('ORGANISATION_UNKNOWN', `${vehicle.mspId} is no longer a member with the role vehicle`);
  }
  if (vehicle.status !== 'active') {
    throw new ContractError('VEHICLE_NOT_ACTIVE', `the vehicle is ${vehicle.status}`);
  }
  if (vehicle.certificateNotAfterMs <= nowMs) {
    throw new ContractError('VEHICLE_CERTIFICATE_EXPIRED', `ended at ${vehicle.certificateNotAfterMs}`);
  }
  if (standing?.quarantined !== undefined) {
    const { round, suspicionMilli } = standing.quarantined;
    throw new ContractError(
      'VEHICLE_QUARANTINED',
      `since round ${round}, with a suspicion of ${suspicionMilli} milli-nats`,
    );
  }
  return vehicle;
}
