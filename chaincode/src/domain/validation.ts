// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  departuresIn,
  evidenceProblem,
  heardValidators,
  newValidators,
  referencesProblem,
  standingsAfter,
  validatedBase,
  validationsProblem,
  validationStatement,
  validatorsAfter,
  type CohortRecord,
  type OpenRound,
  type Organisation,
  type RoundOpening,
  type RoundRecord,
  type Scores,
  type ScoresRecord,
  type SecureRound,
  type SecureTerms,
  type StandingRecord,
  type ValidationProblem,
  type ValidatorRecord,
} from '../api';
import type { SecureAttempt } from './secure-round';
import { requireSigned } from './statements';

/** What the word of validators is judged by. */
export interface ValidatorFacts {
  readonly consortium: string;
  readonly organisations: readonly Organisation[];
  /** Of the task; none where it has no validators, or heard none yet. */
  readonly validators: readonly ValidatorRecord[];
}

/**
 * What the validations of an opening come to.
 *
 * @returns nothing where the task has no validators.
 * @throws ContractError VALIDATION_INVALID, VALIDATOR_SET_ASIDE, VALIDATION_DATA_CHANGED, SIGNATURE_INVALID
 */
export function validatedOpening(
  { validation: terms }: SecureTerms,
  { taskId, round, attempt, baseModelHash }: OpenRound,
  opening: RoundOpening,
  facts: ValidatorFacts,
): Pick<SecureRound, 'validated'> {
  refuse(validationsProblem(terms, opening, facts));
  const { validations } = opening;
  if (terms === undefined || validations === undefined) {
    return {};
  }
  const { consortium, organisations } = facts;
  for (const validation of validations) {
    const statement = validationStatement({ consortium, taskId, round, attempt, baseModelHash }, validation);
    requireSigned(statement, validation.signature, organisations);
  }
  return { validated: validatedBase(validations, heardValidators(terms, facts).length) };
}

/** Records of validators that an attempt hears for the first time in its task. */
export function firstHeard(
  { taskId, secure }: RoundRecord,
  known: readonly ValidatorRecord[],
): readonly ValidatorRecord[] {
  return newValidators(taskId, secure?.opening.validations ?? [], known);
}

/** @throws ContractError REFERENCES_INVALID */
export function checkReferences({ terms, secure }: SecureAttempt, references: readonly string[] | undefined): void {
  refuse(referencesProblem(terms.validation, secure, references));
}

/** @throws ContractError EVIDENCE_INVALID */
export function checkEvidence({ terms }: SecureAttempt, scores: Scores, cohort: CohortRecord): void {
  refuse(evidenceProblem(terms.validation, scores, cohort));
}

/** What the ledger holds of a task's validators and of the vehicles of a cohort. */
export interface JudgedFacts {
  readonly cohort: CohortRecord;
  readonly scores: ScoresRecord;
  readonly validators: readonly ValidatorRecord[];
  /** By vehicle; those without evidence before have none. */
  readonly standings: ReadonlyMap<string, StandingRecord>;
}

/** What becomes of vehicles and validators when a scored round is final: all records that change, in a fixed order. */
export function judged(
  { terms, round, secure }: SecureAttempt,
  { cohort, scores: { scores }, validators, standings }: JudgedFacts,
): { readonly standings: readonly StandingRecord[]; readonly validators: readonly ValidatorRecord[] } {
  const { validation } = terms;
  if (validation === undefined) {
    return { standings: [], validators: [] };
  }
  return {
    standings: standingsAfter(cohort, scores, secure.scoresHash ?? '', standings, validation),
    validators: validatorsAfter(validators, round.round, departuresIn(secure, scores)),
  };
}

function refuse(problem: ValidationProblem | undefined): void {
  if (problem !== undefined) {
    throw new ContractError(problem.code, problem.detail);
  }
}
