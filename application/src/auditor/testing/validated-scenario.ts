// SPDX-License-Identifier: Apache-2.0
import {
  departuresIn,
  drawnLosses,
  drawnVehicles,
  newValidators,
  sha256Hex,
  standingsAfter,
  validationStatement,
  validatorsAfter,
  type RoundOpening,
  type Scores,
  type SecureRound,
  type SecureTerms,
  type StandingRecord,
  type Task,
  type Validation,
  type ValidationTerms,
  type ValidatorRecord,
  type VehicleValidation,
} from '@sev/chaincode/api';
import { memberOf, type Reporter } from './reporting-scenario.js';
import { MSPS, type Record_ } from './scenario.js';
import { SecureScenario, secureTask } from './secure-scenario.js';

type Writes = Readonly<Record<string, Record_>>;

/** From this suspicion on a vehicle of the scenario is in quarantine. */
export const QUARANTINE_MILLI = 10_000;

const VALIDATION: ValidationTerms = { validators: [...MSPS], pastRounds: 0, quarantineMilli: QUARANTINE_MILLI };

export function validatedTask(validation: Partial<ValidationTerms> = {}): Task {
  const metrics: SecureTerms['metrics'] = validation.vehicles === undefined ? ['loss'] : [];
  return secureTask({ rule: 'capped-trust', validation: { ...VALIDATION, ...validation }, metrics });
}

/** A ledger with a task that has all organisations as validators, and what its rounds make of them and of vehicles. */
export class ValidatedScenario extends SecureScenario {
  /** What a forger makes of the records that are written beside a round's. */
  forged: (writes: Writes) => Writes = (writes) => writes;
  /** Vehicles that report to the next rounds. */
  present: readonly Reporter[];
  /** What a validator says instead of the truth in the next openings, before it signs. */
  words: Readonly<Record<string, Partial<Validation>>> = {};
  /** What the next scores say of the suspicion of each vehicle that is present, in their order; nothing: 0. */
  suspicionMilli: readonly number[] = [];
  /** What the next scores say of validators whose directions point away. */
  astray: readonly string[] = [];
  /** Validators that do not show the directions of the next openings. */
  withheld: readonly string[] = [];
  /** What is on the ledger, by MSP id and by vehicle. */
  validators: readonly ValidatorRecord[] = [];
  standings = new Map<string, StandingRecord>();
  /** Vehicles that say something of the base in the next envelopes, and what; by id. */
  vehicleWords = new Map<string, VehicleValidation>();
  /** The cohort of the round before. */
  #before: readonly Reporter[] = [];
  /** Vehicles that are bound to their data. */
  readonly #bound = new Set<string>();

  constructor(roundTask: Task = validatedTask()) {
    super(roundTask);
    this.present = this.reporters;
  }

  override opening(aggregators?: readonly string[]): RoundOpening {
    return { ...super.opening(aggregators), validations: this.validations() };
  }

  validations(mspIds: readonly string[] = MSPS): Validation[] {
    return mspIds.map((mspId) => {
      const hashes = { dataHash: sha256Hex(`data ${mspId}`), directionHash: sha256Hex(`direction ${mspId}`) };
      const content = { mspId, lossMicro: 1_000, ...hashes, ...this.words[mspId] };
      const statement = validationStatement({ ...this.ref(), baseModelHash: this.base }, content);
      return { ...content, signature: this.signOne(mspId, statement) };
    });
  }

  /** An opening of the next attempt with these words instead of those of all. */
  openingWith(words: (scenario: this) => Validation[] | undefined): RoundOpening {
    this.attempt += 1;
    const { validations: _all, ...opening } = this.opening();
    const validations = words(this);
    this.attempt -= 1;
    return { ...opening, ...(validations === undefined ? {} : { validations }) };
  }

  /** One true round from its opening to its end. */
  runRound(): this {
    return this.scoredRound().commit().finaliseSecurely();
  }

  /** From its opening to its scores. */
  scoredRound(): this {
    return this.closedRound(this.present).fix({ reporters: this.present }).score();
  }

  protected override heard(): number {
    return MSPS.length - this.validators.filter(({ setAsideFrom }) => setAsideFrom !== undefined).length;
  }

  override nextRound(): this {
    this.#before = this.present;
    return super.nextRound();
  }

  protected override drawn(): Pick<SecureRound, 'drawn'> {
    const { taskId, round } = this.attemptRef();
    const place = { taskId, round, baseModelHash: this.base };
    const members = this.#before.map(memberOf);
    const before = round === 1 ? undefined : { members };
    return drawnVehicles(this.terms.validation, place, { modelHash: before && this.base, cohort: before });
  }

  protected override losses(reporters: readonly Reporter[]): Pick<SecureRound, 'drawnLosses'> {
    return drawnLosses(
      reporters.map(({ vehicleId }) => {
        const validation = this.vehicleWords.get(vehicleId);
        return { vehicleId, ...(validation === undefined ? {} : { validation }) };
      }),
    );
  }

  protected override wordOf(vehicleId: string): VehicleValidation | undefined {
    return this.vehicleWords.get(vehicleId);
  }

  protected override updateWrites(vehicleId: string, update: Writes): Writes {
    const word = this.vehicleWords.get(vehicleId);
    if (word === undefined || this.#bound.has(vehicleId)) {
      return this.forged(update);
    }
    this.#bound.add(vehicleId);
    const { taskId } = this.roundTask;
    const record = { docType: 'vehicleData', schemaVersion: 1, taskId, vehicleId, dataHash: word.dataHash };
    return this.forged({ ...update, [`vehicleData/${vehicleId}`]: record });
  }

  protected override judgement(): Partial<Scores> {
    const { opening, validated } = this.secure;
    const names = opening.validations?.map(({ mspId }) => mspId) ?? [];
    const left = [...(validated?.departed ?? []), ...this.withheld];
    return {
      references: names.filter((mspId) => !left.includes(mspId)),
      astray: [...this.astray],
      evidence: {
        suspicionMilli: this.present.map((_, index) => this.suspicionMilli[index] ?? 0),
        contributionMicro: this.present.map(() => 5),
      },
    };
  }

  protected override besides(state: 'open' | 'finalised'): Writes {
    return this.forged(state === 'open' ? this.#heard() : this.#judged());
  }

  #heard(): Writes {
    const heard = newValidators(this.roundTask.taskId, this.secure.opening.validations ?? [], this.validators);
    this.validators = [...this.validators, ...heard];
    return validatorWrites(heard);
  }

  #judged(): Writes {
    const { scores, secure } = this;
    const terms = this.terms.validation;
    if (scores === undefined || terms === undefined) {
      throw new Error('the round is not scored, or its task has no validators');
    }
    const changed = validatorsAfter(this.validators, this.number, departuresIn(secure, scores));
    const unchanged = this.validators.filter(({ mspId }) => !changed.some((record) => record.mspId === mspId));
    this.validators = [...unchanged, ...changed];
    const cohort = { members: this.present.map(memberOf) };
    const standings = standingsAfter(cohort, scores, secure.scoresHash ?? '', this.standings, terms);
    standings.forEach((record) => this.standings.set(record.vehicleId, record));
    return { ...validatorWrites(changed), ...standingWrites(standings) };
  }
}

function validatorWrites(records: readonly ValidatorRecord[]): Writes {
  return Object.fromEntries(records.map((record) => [`validator/${record.mspId}`, { ...record }]));
}

function standingWrites(records: readonly StandingRecord[]): Writes {
  return Object.fromEntries(records.map((record) => [`standing/${record.vehicleId}`, { ...record }]));
}
