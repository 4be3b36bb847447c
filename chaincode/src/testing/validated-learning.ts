// SPDX-License-Identifier: Apache-2.0
import {
  sha256Hex,
  validationStatement,
  type OpenRound,
  type RoundOpening,
  type RoundRecord,
  type Scores,
  type SecureTerms,
  type StandingRecord,
  type Task,
  type Validation,
  type ValidationTerms,
  type ValidatorRecord,
} from '../api';
import { CITY, GRID, MAKER, REGULATOR, type TestConsortium } from './consortium';
import type { Vehicle } from './fleet';
import { INITIAL_MODEL, ROUND_1, type RoundRef } from './learning';
import { SecureDriver, secureTask } from './secure-learning';

/** The validators of the tests' tasks, sorted: all organisations. */
export const VALIDATORS = [CITY, GRID, MAKER, REGULATOR] as const;
const MAJORITY = [GRID, CITY, REGULATOR];

/** A suspicion from which the tests' tasks quarantine: 10 nats. */
export const QUARANTINE_MILLI = 10_000;

export const VALIDATION: ValidationTerms = {
  validators: [...VALIDATORS],
  pastRounds: 2,
  quarantineMilli: QUARANTINE_MILLI,
};

/** A task in mode `secure` with validators. It may open (2 + 1) numbers in seven rounds. */
export function validatedTask(terms: Partial<SecureTerms> = {}, change: Partial<Task> = {}): Task {
  return secureTask({ rule: 'capped-trust', validation: VALIDATION, ...terms }, change);
}

/** What a test says of a vehicle in a round; otherwise nothing. */
export interface Judgement {
  readonly suspicionMilli?: number;
  readonly contributionMicro?: number;
}

/** Drives a task with validators, whose words are made up, as are judgements. */
export class ValidatedDriver extends SecureDriver {
  constructor(consortium: TestConsortium, task: Task = validatedTask()) {
    super(consortium, task);
  }

  /** Signed words about a base, `change` altering them before they are signed. */
  validations(
    ref: RoundRef = ROUND_1,
    baseModelHash = INITIAL_MODEL,
    change: Readonly<Record<string, Partial<Validation>>> = {},
    mspIds: readonly string[] = VALIDATORS,
  ): Validation[] {
    return mspIds.map((mspId) => {
      const content = {
        mspId,
        dataHash: sha256Hex(`data of ${mspId}`),
        lossMicro: 1_000_000,
        directionHash: sha256Hex(`direction of ${mspId} on ${baseModelHash}`),
        ...change[mspId],
      };
      const place = { consortium: this.consortium.bootstrapHash, ...ref, baseModelHash };
      return { ...content, signature: this.signOne(mspId, validationStatement(place, content)) };
    });
  }

  /** An opening that has no validations yet gets those of all validators. */
  override signedOpening(opening: RoundOpening, ref: RoundRef = ROUND_1, baseModelHash = INITIAL_MODEL): OpenRound {
    const validations = opening.validations ?? this.validations(ref, baseModelHash);
    return super.signedOpening({ ...opening, validations }, ref, baseModelHash);
  }

  /** Creates the task where it is the first round's first attempt, and opens with these words. */
  async openWith(
    validations: readonly Validation[] | undefined,
    ref: RoundRef = ROUND_1,
    baseModelHash = INITIAL_MODEL,
  ): Promise<RoundRecord> {
    await this.coordinate('CreateTask', this.task);
    const { validations: _all, ...opening } = this.opening(ref);
    const words = validations === undefined ? {} : { validations: [...validations] };
    return this.coordinate('OpenRound', super.signedOpening({ ...opening, ...words }, ref, baseModelHash));
  }

  override async scores(lowered: Readonly<Record<string, number>> = {}, ref: RoundRef = ROUND_1): Promise<Scores> {
    return this.judgedScores({}, ref, lowered);
  }

  /** Scores with what the round's evidence says of vehicles by id. */
  async judgedScores(
    judgements: Readonly<Record<string, Judgement>>,
    ref: RoundRef = ROUND_1,
    lowered: Readonly<Record<string, number>> = {},
  ): Promise<Scores> {
    const scores = await super.scores(lowered, ref);
    const { members } = await this.cohort(ref);
    const references = await this.references(ref);
    const evidence = {
      suspicionMilli: members.map(({ vehicleId }) => judgements[vehicleId]?.suspicionMilli ?? 0),
      contributionMicro: members.map(({ vehicleId }) => judgements[vehicleId]?.contributionMicro ?? 0),
    };
    return { ...scores, ...(references === undefined ? {} : { references }), evidence };
  }

  /** Goes on with a closed round until it is final. @returns its record. */
  async finished(
    ref: RoundRef = ROUND_1,
    judgements: Readonly<Record<string, Judgement>> = {},
    change: Partial<Scores> = {},
  ): Promise<RoundRecord> {
    await this.fix(ref);
    await this.score(ref, { scores: { ...(await this.judgedScores(judgements, ref)), ...change } });
    await this.commit(ref);
    return this.finalise(await this.proposal(ref), MAJORITY);
  }

  /** A whole round. @returns the model that it ends with. */
  async runRound(
    vehicles: readonly Vehicle[],
    ref: RoundRef,
    baseModelHash: string,
    judgements: Readonly<Record<string, Judgement>> = {},
    change: Partial<Scores> = {},
  ): Promise<string> {
    await this.closed(vehicles, ref, baseModelHash);
    const { proposal } = await this.finished(ref, judgements, change);
    return proposal?.modelHash ?? '';
  }

  standing({ vehicleId }: Vehicle): Promise<StandingRecord> {
    return this.consortium.evaluate('learning:GetStanding', { taskId: this.task.taskId, vehicleId });
  }

  validators(): Promise<ValidatorRecord[]> {
    return this.consortium.evaluate('learning:ListValidators', { taskId: this.task.taskId });
  }
}

/** Round n of a task, first attempt. */
export function roundRef(round: number, attempt = 1): RoundRef {
  return { ...ROUND_1, round, attempt };
}
