// SPDX-License-Identifier: Apache-2.0

/**
 * The one error table of the contracts. A contract error reaches a client as the text `CODE: what and what to do`,
 * because Fabric carries no structured error from chaincode (status 500 and a message, nothing else).
 */
export const ERROR_CODES = {
  ARGUMENT_INVALID: 'An argument does not have the documented form.',
  ACCESS_DENIED: 'The caller may not run this transaction.',
  CALLER_UNKNOWN: 'The caller holds no role that governance knows.',
  GOVERNANCE_MISSING: 'The consortium has not been bootstrapped on this channel.',
  GOVERNANCE_CONFLICT: 'The consortium was bootstrapped with other content.',
  PROPOSAL_UNKNOWN: 'No such governance proposal.',
  PROPOSAL_CONFLICT: 'The proposal exists with other content.',
  PROPOSAL_NOT_ACCEPTED: 'No majority of organisations has voted for the proposal.',
  PROPOSAL_EXECUTED: 'The proposal has already been executed.',
  PROPOSAL_WITHDRAWN: 'The proposal has been withdrawn.',
  PROPOSAL_NOT_REJECTED: 'Only its proposer withdraws a proposal that no majority has voted against.',
  ORGANISATION_UNKNOWN: 'The organisation is not a member of the consortium.',
  ORGANISATION_CONFLICT: 'The organisation is a member already.',
  VEHICLE_UNKNOWN: 'No vehicle is enrolled under this id.',
  VEHICLE_CONFLICT: 'The vehicle id is enrolled with other content.',
  VEHICLE_NOT_ACTIVE: 'The vehicle is suspended or revoked.',
  VEHICLE_CERTIFICATE_EXPIRED: "The vehicle's certificate has ended.",
  VEHICLE_STATUS_TRANSITION: 'The vehicle cannot go from its present status to the one asked for.',
  KEY_ROTATION_STALE: 'The change of key is not the next one of this vehicle.',
  TAG_ALREADY_ENROLLED: 'This physical vehicle already holds an identity in this domain.',
  PUBLIC_KEY_ALREADY_ENROLLED: 'This public key already belongs to an enrolled vehicle.',
  MAKER_UNKNOWN: "The maker's key is not accredited.",
  MAKER_CONFLICT: "The maker's key is accredited for another organisation.",
  ATTESTATION_INVALID: "The maker's attestation does not hold for this vehicle.",
  QUOTA_EXCEEDED: "The slot lies outside the organisation's quota.",
  RATE_EXCEEDED: "The slot lies outside the organisation's rate limit for this window.",
  SLOT_TAKEN: 'The slot is in use; ask for free slots and try again.',
  WINDOW_INVALID: "The rate window is not that of the transaction's time.",
  TASK_UNKNOWN: 'No such task.',
  TASK_CONFLICT: 'The task exists with other content.',
  TERMS_BELOW_FLOOR: 'The task would keep less secret of its vehicles than every task has to.',
  RING_TOO_NARROW: 'The ring of 16 bits is for sums only: it takes no projections and no noise.',
  ROUND_UNKNOWN: 'No such round.',
  ROUND_CONFLICT: 'The round exists with other content.',
  ROUND_OUT_OF_ORDER:
    'The round before it is not finalised, the attempt is not the next one, or no such round is planned.',
  ROUND_STATE: 'The round is not in the state that this transaction needs.',
  ROUND_STALE: 'The envelope names another round, attempt or base model than the open one.',
  ROUND_DEADLINE_PASSED: 'The deadline of the round has passed.',
  ROUND_DEADLINE_NOT_REACHED: 'Before the deadline only a majority of organisations may do this.',
  COHORT_TOO_SMALL: 'Fewer updates than the minimum cohort of the task.',
  COHORT_MISMATCH: 'The proposal does not cover the recorded updates, or the cohort.',
  COHORT_TOO_LARGE: 'More vehicles than the sums of this task can hold.',
  COHORT_TOO_CLOSE: 'Too few vehicles count alike in the sums on this base: a combination of sums would show them.',
  COHORT_CONFLICT: 'The cohort was fixed with other content.',
  COHORT_UNKNOWN: 'No cohort was fixed in this attempt.',
  OPENING_INVALID: "The opening of a secure round is missing, or is not one for this task's aggregators.",
  ARBITER_MISSING: 'The opening names no arbiter although a member has the role auditor: ask it for its key.',
  PRIVACY_BUDGET_EXCEEDED: "The sums would cross the task's budget of differential privacy.",
  PROJECTION_BUDGET_EXCEEDED: "The projections would cross the task's share of the model that may be opened.",
  ATTEMPTS_EXHAUSTED: 'The cohorts of three attempts at this round were fixed; a fourth is never opened.',
  BASE_TAKEN: 'Another task works from this model: its vehicles would report the same updates again.',
  BASE_BURNED: 'Sums of two attempts on this base model were shown; a third is never opened.',
  AGGREGATORS_MISSING: 'Too few aggregators answer: some component has none whose word counts.',
  RECEIPT_INVALID: "The receipt is not an aggregator's of this round for the recorded update of the vehicle.",
  COMPONENT_NOT_HELD: 'The statement names a component that the aggregator does not hold in this round.',
  NONCE_INVALID: "The nonces do not fit the opening's commitments.",
  ACCUSATION_INVALID:
    'The abort accuses nobody of false noise, or not aggregators of this attempt, or for a reason of another mode.',
  NOISE_INVALID: "The noise seeds do not fit the opening's commitments.",
  PROJECTIONS_DISAGREE: 'Two aggregators opened different projections of one component: open a dispute.',
  SCORES_INVALID: "The weights do not follow the task's rules.",
  SCORES_CONFLICT: 'The round was scored with other content.',
  SCORES_UNKNOWN: 'The round was not scored in this attempt.',
  SUMS_INVALID: 'A statement does not name one sum for each shard.',
  SUMS_DISAGREE: 'Two aggregators have different sums of one component: open a dispute.',
  SUMS_CONFLICT: 'Other sums were committed before.',
  PARTY_MISSING: 'An organisation with a part in mode he has not signed what it holds.',
  DISPUTE_REFUSED: 'The component may not be released to the arbiter.',
  DISPUTE_UNKNOWN: 'There is no such dispute in this attempt.',
  DISPUTE_CONFLICT: 'The dispute was settled with another verdict.',
  DISPUTE_OPEN: "A dispute waits for the arbiter's verdict.",
  VERDICT_AGAINST: 'A verdict went against all that the answer to a component rests on: abort the round.',
  COMPONENTS_UNVERIFIED: 'Components rest on the word of one aggregator: have them audited, or abort the round.',
  BASE_MODEL_MISMATCH: 'The base model is not the current model of the task.',
  MODEL_UNKNOWN: 'No model with this hash is on the ledger.',
  UPDATE_DUPLICATE: 'The vehicle has already recorded an update in this round.',
  ENVELOPE_MALFORMED: 'The envelope does not have the documented form.',
  SIGNATURE_INVALID: 'The signature does not hold for this content and key.',
  STATEMENTS_INSUFFICIENT: 'The signed statements do not come from a majority of organisations.',
  BATCH_TOO_LARGE: 'The batch holds more items than allowed.',
  VALIDATION_INVALID: "The validations of an opening are missing, or not those of this task's validators.",
  VALIDATION_DATA_CHANGED: 'The validator, or the drawn vehicle, gave other data before in this task.',
  VALIDATOR_SET_ASIDE: 'The validator departed from the others before and is no longer heard in this task.',
  REFERENCES_INVALID: 'The reference direction is not made of the directions that the opening commits to.',
  EVIDENCE_INVALID:
    'The evidence does not name one value for each member of the cohort, or rests on what the task does not allow.',
  VEHICLE_NOT_DRAWN: 'The vehicle was not drawn to say how well the base model fits its rows; it takes part without.',
  VEHICLE_QUARANTINED: 'The vehicle is suspected in this task: its updates wait for the decision of an incident.',
  STANDING_UNKNOWN: 'No finalised round of this task holds evidence about the vehicle.',
  INCIDENT_UNKNOWN: 'No such incident.',
  INCIDENT_CONFLICT: 'The incident exists with other content.',
  INCIDENT_STATE: 'The incident is not in a state in which this may be voted on.',
  INCIDENT_INVALID: 'The vehicle has no part in an attempt that the incident disputes.',
  FINDINGS_MISSING: 'A vote to confirm names the hash of the findings that were verified.',
  CORRECTION_INVALID: 'The correction does not fit the incident, the rounds of its task, or what was kept.',
  CORRECTION_CONFLICT: 'The task was corrected after this round with other content.',
  CORRECTION_UNKNOWN: 'The task was not corrected after this round.',
  ROUND_NOT_FINALISED: 'Only a finalised round can be paid.',
  REWARDS_NONE: 'The task pays no rewards.',
  STATE_NEWER: 'A record on the ledger was written by a newer version of the contracts.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A refusal by a contract: thrown inside the chaincode, parsed back from the message text by clients. */
export class ContractError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;

  constructor(code: ErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'ContractError';
    this.code = code;
    this.detail = detail;
  }
}

const TEXT = /\b([A-Z][A-Z0-9_]+): (?=([^\n]*))/g;

/**
 * Finds a contract error in a text that a peer or gateway may have wrapped
 * (`chaincode response 500, CODE: detail`).
 *
 * @returns the error, or undefined where the text holds no known code.
 */
export function parseContractError(text: string): ContractError | undefined {
  for (const [, code, detail] of text.matchAll(TEXT)) {
    if (code !== undefined && code in ERROR_CODES) {
      return new ContractError(code as ErrorCode, detail ?? '');
    }
  }
  return undefined;
}
