// SPDX-License-Identifier: Apache-2.0
import type { ErrorCode } from './errors';
import type { CohortRecord, RoundOpening, Scores, SecureRound } from './secure';
import { isAscending } from './primitives';
import { majorityOf } from './rounds';
import {
  DEPARTURES_SET_ASIDE,
  LEAST_JUDGED,
  standingAfter,
  type StandingRecord,
  type Validation,
  type ValidationStatement,
  type ValidationTerms,
  type ValidatorRecord,
} from './validation';

/** Why the word of validators, or what scores make of it, is not taken. */
export interface ValidationProblem {
  readonly code: Extract<
    ErrorCode,
    'VALIDATION_INVALID' | 'VALIDATION_DATA_CHANGED' | 'VALIDATOR_SET_ASIDE' | 'REFERENCES_INVALID' | 'EVIDENCE_INVALID'
  >;
  readonly detail: string;
}

/** What the validations of an opening are judged by. */
export interface ValidationFacts {
  /** Of the task, as the rounds before left them; a validator that was not heard yet has none. */
  readonly validators: readonly ValidatorRecord[];
  readonly organisations: readonly { readonly mspId: string }[];
}

/** Validators of a task that are members of the consortium and not set aside, sorted. At least one never departs, so some remain. */
export function heardValidators(
  { validators }: Pick<ValidationTerms, 'validators'>,
  { validators: records, organisations }: ValidationFacts,
): readonly string[] {
  const setAside = new Set(records.flatMap(({ mspId, setAsideFrom }) => (setAsideFrom === undefined ? [] : [mspId])));
  return validators.filter(
    (mspId) => !setAside.has(mspId) && organisations.some((organisation) => organisation.mspId === mspId),
  );
}

/**
 * Directions that make a reference: of a majority of the validators that are heard, and of three where there are as many. Of
 * two directions either one could bend the median at will; of three that agree with each other none can.
 */
export function neededDirections(heard: number): number {
  return Math.max(majorityOf(heard), Math.min(LEAST_JUDGED, heard));
}

/**
 * Whether an opening has the validations that its task asks for: of as many of the validators that are heard as directions are
 * needed, each on the data it gave before; none where the task has no validators. Signatures are another matter.
 */
export function validationsProblem(
  terms: ValidationTerms | undefined,
  { validations }: Pick<RoundOpening, 'validations'>,
  facts: ValidationFacts,
): ValidationProblem | undefined {
  if (terms === undefined || validations === undefined) {
    return terms === undefined && validations === undefined
      ? undefined
      : invalid(terms === undefined ? 'this task has no validators' : 'missing; this task has validators');
  }
  const names = validations.map(({ mspId }) => mspId);
  if (!isAscending(names)) {
    return invalid('not sorted without repetition');
  }
  const stranger = names.find((mspId) => !terms.validators.includes(mspId));
  if (stranger !== undefined) {
    return invalid(`${stranger} is not a validator of the task`);
  }
  const records = new Map(facts.validators.map((record) => [record.mspId, record]));
  for (const { mspId, dataHash } of validations) {
    const record = records.get(mspId);
    if (record?.setAsideFrom !== undefined) {
      const rounds = record.departures.join(', ');
      return { code: 'VALIDATOR_SET_ASIDE', detail: `${mspId}; it departed from the others in rounds ${rounds}` };
    }
    if (record !== undefined && record.dataHash !== dataHash) {
      return { code: 'VALIDATION_DATA_CHANGED', detail: `${mspId}; its data have the hash ${record.dataHash}` };
    }
  }
  const heard = heardValidators(terms, facts).length;
  const needed = neededDirections(heard);
  return names.length < needed ? invalid(`${names.length} of ${heard} validators; ${needed} are needed`) : undefined;
}

/** What a validator signs for its part of an opening. */
export function validationStatement(
  ref: Pick<ValidationStatement, 'consortium' | 'taskId' | 'round' | 'attempt' | 'baseModelHash'>,
  { mspId, dataHash, lossMicro, directionHash }: Omit<Validation, 'signature'>,
): ValidationStatement {
  const { consortium, taskId, round, attempt, baseModelHash } = ref;
  const place = { consortium, taskId, round, attempt, baseModelHash };
  return { type: 'sev/validation/v1', ...place, mspId, dataHash, lossMicro, directionHash };
}

/** Records of validators that are heard for the first time in a task: they bind each to its data. */
export function newValidators(
  taskId: string,
  validations: readonly Validation[],
  known: readonly ValidatorRecord[],
): readonly ValidatorRecord[] {
  return validations
    .filter(({ mspId }) => !known.some((record) => record.mspId === mspId))
    .map(({ mspId, dataHash }) => ({
      docType: 'validator',
      schemaVersion: 1,
      taskId,
      mspId,
      dataHash,
      departures: [],
    }));
}

/**
 * Whether the reference direction is made of what the opening commits to: directions of validators in it whose loss did not
 * depart. As many as are needed of all that are heard, whoever is in the opening, so that nobody chooses among them; the losses
 * that depart leave fewer to be had. None where the task has no validators.
 */
export function referencesProblem(
  terms: ValidationTerms | undefined,
  { opening, validated }: Pick<SecureRound, 'opening' | 'validated'>,
  references: readonly string[] | undefined,
): ValidationProblem | undefined {
  const refuse = (detail: string): ValidationProblem => ({ code: 'REFERENCES_INVALID', detail });
  if (terms === undefined || references === undefined || references.length === 0) {
    return terms === undefined && references === undefined
      ? undefined
      : refuse(terms === undefined ? 'this task has no validators' : 'missing; this task has validators');
  }
  if (!isAscending(references)) {
    return refuse('not sorted without repetition');
  }
  const stranger = references.find((mspId) => opening.validations?.some((one) => one.mspId === mspId) !== true);
  if (stranger !== undefined) {
    return refuse(`${stranger} has no direction in the opening`);
  }
  const departed = references.find((mspId) => validated?.departed.includes(mspId) === true);
  if (departed !== undefined) {
    return refuse(`the loss of ${departed} departs from that of the others`);
  }
  const { heard = 0, departed: apart = [] } = validated ?? {};
  const needed = Math.min(neededDirections(heard), heard - apart.length);
  return references.length < needed
    ? refuse(`${references.length} directions; ${needed} of the ${heard} validators are needed`)
    : undefined;
}

type Judgement = Pick<Scores, 'round' | 'references' | 'astray' | 'evidence' | 'past'>;

/**
 * Whether scores carry what follows from a reference direction: for each member of the cohort, compared over no other rounds
 * than the task allows; and nothing without one.
 */
export function evidenceProblem(
  terms: ValidationTerms | undefined,
  scores: Judgement,
  { members }: Pick<CohortRecord, 'members'>,
): ValidationProblem | undefined {
  const { evidence, astray, past } = scores;
  let problem: string | undefined;
  if (terms === undefined) {
    const isJudged = [evidence, astray, past].some((part) => part !== undefined);
    problem = isJudged ? 'this task has no validators' : undefined;
  } else {
    problem = valuesProblem(evidence, members.length) ?? pastProblem(scores, terms) ?? astrayProblem(scores);
  }
  return problem === undefined ? undefined : { code: 'EVIDENCE_INVALID', detail: problem };
}

function valuesProblem(evidence: Scores['evidence'], size: number): string | undefined {
  if (evidence === undefined) {
    return 'missing; this task has validators';
  }
  const [suspicion, contribution] = [evidence.suspicionMilli.length, evidence.contributionMicro.length];
  const holds = suspicion === size && contribution === size;
  return holds ? undefined : `${suspicion} and ${contribution} values for ${size} vehicles`;
}

/** Earlier rounds count as far back as the task says, each once and in order. */
function pastProblem({ round, past = [] }: Judgement, { pastRounds }: ValidationTerms): string | undefined {
  const [oldest, newest] = [Math.max(1, round - pastRounds), round - 1];
  const holds = past.every(
    (one, index) => one.round > (past[index - 1]?.round ?? 0) && one.round >= oldest && one.round <= newest,
  );
  return holds ? undefined : `past: not rounds from ${oldest} to ${newest}, each once, in order`;
}

function astrayProblem({ references = [], astray = [] }: Judgement): string | undefined {
  const holds = isAscending(astray) && astray.every((mspId) => references.includes(mspId));
  return holds ? undefined : 'astray: not of the references, sorted without repetition';
}

/**
 * Validators that departed from the others in a scored round: by their loss, by a direction that they committed themselves to
 * and that is not among the references, because they did not show it or it is none, or by one away from the median. Of few
 * references, or where most point away, none can be told to be the one that is wrong. Sorted.
 */
export function departuresIn(
  { opening, validated }: Pick<SecureRound, 'opening' | 'validated'>,
  { references = [], astray = [] }: Pick<Scores, 'references' | 'astray'>,
): readonly string[] {
  const isJudged = references.length >= LEAST_JUDGED && 2 * astray.length < references.length;
  const committed = (opening.validations ?? []).map(({ mspId }) => mspId);
  const withheld = committed.filter((mspId) => !references.includes(mspId));
  return [...new Set([...(validated?.departed ?? []), ...withheld, ...(isJudged ? astray : [])])].sort();
}

/** Records of the validators that departed in a round which became final, with it. */
export function validatorsAfter(
  records: readonly ValidatorRecord[],
  round: number,
  departed: readonly string[],
): readonly ValidatorRecord[] {
  return records
    .filter(({ mspId }) => departed.includes(mspId))
    .map((record) => {
      const departures = [...record.departures, round];
      const isEnough = record.setAsideFrom === undefined && departures.length >= DEPARTURES_SET_ASIDE;
      return { ...record, departures, ...(isEnough ? { setAsideFrom: round + 1 } : {}) };
    });
}

/** Standings of a cohort after its round became final, in the order of its members. */
export function standingsAfter(
  { members }: Pick<CohortRecord, 'members'>,
  scores: Pick<Scores, 'taskId' | 'round' | 'attempt' | 'evidence'>,
  scoresHash: string,
  before: ReadonlyMap<string, StandingRecord>,
  terms: Pick<ValidationTerms, 'quarantineMilli'>,
): readonly StandingRecord[] {
  const { taskId, round, attempt, evidence } = scores;
  return members.map(({ vehicleId }, index) => {
    const suspicionMilli = evidence?.suspicionMilli[index] ?? 0;
    const contributionMicro = evidence?.contributionMicro[index] ?? 0;
    const last = { round, attempt, scoresHash };
    return standingAfter(before.get(vehicleId), { taskId, vehicleId, last, suspicionMilli, contributionMicro }, terms);
  });
}

function invalid(detail: string): ValidationProblem {
  return { code: 'VALIDATION_INVALID', detail };
}
