// SPDX-License-Identifier: Apache-2.0
import {
  areTwoCandidates,
  cohortHash,
  componentHolders,
  decodeBitmap,
  isAscending,
  openedNumbers,
  openingHash,
  parsePublicKey,
  partHash,
  type ConsortiumRecord,
  type Dispute,
  type HoldingsStatement,
  type OpeningStatement,
  type PartStatement,
  type ProjectionsStatement,
  type RoundOpening,
  type SecureRound,
  type Signable,
  type SignedBy,
  type SumsStatement,
  type Task,
  type UpdateRecord,
  type Validation,
  type VerdictStatement,
} from '@sev/chaincode/api';
import type {
  Deal,
  OpenedNumbers,
  OpenedProjections,
  PreparedPart,
  Release,
  Revealed,
  SignedHoldings,
  SignedSums,
} from '../aggregator/aggregator-client.js';
import { revealed } from '../aggregator/answers.js';
import type { Verdict } from '../arbiter/arbiter-client.js';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import { isSigned } from '../services/signed-statements.js';
import { numbersHash } from '../services/opened-numbers.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { isValidationSigned } from '../validation/opening-validations.js';

/** Bytes of a value of the ring. */
const RING_BYTES = 4;

/**
 * Checks what aggregators and the arbiter answer about one attempt, before it becomes part of a transaction that one false
 * answer would spoil. Whatever does not hold is thrown.
 */
export class AnswerChecks {
  readonly #consortium: ConsortiumRecord;
  readonly #task: Task;
  readonly #ref: AttemptRef;

  constructor(consortium: ConsortiumRecord, task: Task, ref: AttemptRef) {
    this.#consortium = consortium;
    this.#task = task;
    this.#ref = attemptOf(ref);
  }

  /** @throws SevError OPENING_INVALID, SIGNATURE_INVALID. */
  part({ part, signature }: PreparedPart, mspId: string, baseModelHash: string): void {
    const terms = secureTermsOf(this.#task);
    const { noise } = part;
    const fits =
      parsePublicKey(part.sealingKey) !== undefined &&
      part.nonceLeaves.length === componentHolders(terms).length &&
      (noise !== undefined) === (terms.dp !== undefined) &&
      (noise === undefined || areTwoCandidates(noise, componentHolders(terms).length));
    insist(fits, 'OPENING_INVALID', `the part of ${mspId} is not one for this task`);
    this.#signed({ mspId: part.mspId, signature }, mspId, {
      type: 'sev/opening-part/v1',
      ...this.#bound(mspId),
      ...{ baseModelHash, partHash: partHash(part) },
    } satisfies PartStatement);
  }

  /** One deal to each of the others. @throws SevError DEAL_MISSING. */
  deals(deals: readonly Deal[], mspId: string, members: readonly string[]): void {
    const others = members.filter((other) => other !== mspId);
    const fits = others.every((other) => deals.filter(({ from, to }) => from === mspId && to === other).length === 1);
    insist(fits && deals.length === others.length, 'DEAL_MISSING', `${mspId} has not one deal for each of the others`);
  }

  /** @throws SevError SIGNATURE_INVALID. */
  opening(signed: SignedBy, mspId: string, baseModelHash: string, opening: RoundOpening): void {
    this.#signed(signed, mspId, {
      type: 'sev/round-opening/v1',
      ...this.#bound(mspId),
      ...{ baseModelHash, openingHash: openingHash(opening) },
    } satisfies OpeningStatement);
  }

  /** @throws SevError OPENING_INVALID. */
  arbiterKey(key: NonNullable<RoundOpening['arbiter']>, mspId: string): void {
    const fits = key.mspId === mspId && parsePublicKey(key.sealingKey) !== undefined;
    insist(fits, 'OPENING_INVALID', `${mspId} gives no key of its own to release components to`);
  }

  /** @param updates recorded in the attempt, by vehicle id. @throws SevError SERVICE_ANSWER_MALFORMED, SIGNATURE_INVALID. */
  holdings({ held, ...signed }: SignedHoldings, mspId: string, updates: readonly UpdateRecord[]): void {
    const isBitmap = decodeBitmap(held, updates.length) !== undefined;
    insist(isBitmap, 'SERVICE_ANSWER_MALFORMED', `the holdings of ${mspId} are not of the recorded updates`);
    this.#signed(signed, mspId, {
      type: 'sev/holdings/v1',
      ...this.#bound(mspId),
      ...{ recordedHash: cohortHash(updates), held },
    } satisfies HoldingsStatement);
  }

  /** What is shown is checked by its commitments when it is put together. @throws SevError SERVICE_ANSWER_MALFORMED. */
  revealed(shown: Revealed, mspId: string): void {
    const isOne = revealed.safeParse(shown).success;
    insist(isOne, 'SERVICE_ANSWER_MALFORMED', `${mspId} did not show nonces in their form`);
  }

  /**
   * A validator's word about the base.
   *
   * @param known the base, and the hash of the data that it gave before in this task.
   * @throws SevError SIGNATURE_INVALID, VALIDATION_DATA_CHANGED.
   */
  validation(
    word: Validation,
    mspId: string,
    {
      baseModelHash,
      dataHash = word.dataHash,
    }: { readonly baseModelHash: string; readonly dataHash: string | undefined },
  ): void {
    const isOwn = word.mspId === mspId;
    const place = { consortium: this.#consortium.bootstrapHash, ...this.#ref, baseModelHash };
    const isSound = isOwn && isValidationSigned(this.#consortium, place, word);
    insist(isSound, 'SIGNATURE_INVALID', `the answer is not signed with the key of ${mspId}`);
    insist(
      word.dataHash === dataHash,
      'VALIDATION_DATA_CHANGED',
      `${mspId} validates on other data than it gave before`,
    );
  }

  /**
   * @param basis what the numbers are of: the round's seed, and the validators whose directions make the reference.
   * @throws SevError SERVICE_ANSWER_MALFORMED, PROJECTIONS_INVALID, SIGNATURE_INVALID.
   */
  projections(
    { signed, numbers }: OpenedProjections,
    mspId: string,
    secure: SecureRound,
    basis: Pick<ProjectionsStatement, 'seed' | 'references'>,
  ): void {
    const { components } = signed;
    this.#componentsOf(components, mspId);
    this.#numbers(numbers, mspId, secure, (component) => components[component]);
    this.#signed(signed, mspId, {
      type: 'sev/projections/v1',
      ...this.#bound(mspId),
      ...{ cohortHash: secure.cohortHash ?? '', ...basis, components },
    } satisfies ProjectionsStatement);
  }

  /** Numbers of an earlier round, by the hashes that the ledger holds. @throws SevError SERVICE_ANSWER_MALFORMED, PROJECTIONS_INVALID. */
  pastNumbers(numbers: OpenedNumbers, mspId: string, secure: SecureRound): void {
    this.#numbers(numbers, mspId, secure, (component) => secure.projections?.[Number(component)]);
  }

  /** @throws SevError SERVICE_ANSWER_MALFORMED, SIGNATURE_INVALID. */
  sums({ components, ...signed }: SignedSums, mspId: string, secure: SecureRound): void {
    this.#componentsOf(components, mspId);
    const shards = Math.ceil((secure.cohortSize ?? 0) / secureTermsOf(this.#task).shardSize);
    const fits = Object.values(components).every((hashes) => hashes.length === shards);
    insist(fits, 'SERVICE_ANSWER_MALFORMED', `${mspId} has not one sum for each of ${String(shards)} shards`);
    this.#signed(signed, mspId, {
      type: 'sev/component-sums/v1',
      ...this.#bound(mspId),
      ...{ scoresHash: secure.scoresHash ?? '', components },
    } satisfies SumsStatement);
  }

  /** @throws SevError SERVICE_ANSWER_MALFORMED. */
  release({ component, objects }: Release, mspId: string, asked: number): void {
    const fits = component === asked && objects.length > 0;
    insist(fits, 'SERVICE_ANSWER_MALFORMED', `${mspId} did not release component ${String(asked)}`);
  }

  /** @throws SevError VERDICT_INVALID where it says what it cannot; SIGNATURE_INVALID. */
  verdict({ faulty, signature }: Verdict, mspId: string, { component, phase, said }: Dispute): void {
    const spoke = isAscending(faulty) && faulty.every((name) => said.some((one) => one.mspId === name));
    insist(spoke, 'VERDICT_INVALID', 'the verdict names others than those who said something of the component');
    // Two statements that contradict each other are not both right.
    const names = phase === 'audit' || faulty.length > 0;
    insist(names, 'VERDICT_INVALID', 'the verdict finds nobody wrong of two that contradict each other');
    this.#signed({ mspId, signature }, mspId, {
      type: 'sev/verdict/v1',
      ...this.#bound(mspId),
      ...{ component, phase, faulty },
    } satisfies VerdictStatement);
  }

  #numbers(
    numbers: OpenedNumbers,
    mspId: string,
    { cohortSize = 0 }: SecureRound,
    hashOf: (component: string) => string | undefined,
  ): void {
    this.#componentsOf(numbers, mspId);
    const bytes = RING_BYTES * cohortSize * openedNumbers(secureTermsOf(this.#task));
    for (const [component, text] of Object.entries(numbers)) {
      const fits = Buffer.byteLength(text, 'base64') === bytes && numbersHash(text) === hashOf(component);
      insist(fits, 'PROJECTIONS_INVALID', `${mspId} signed other numbers for component ${component}`);
    }
  }

  /** An answer is of all components that its aggregator holds, and of no other. */
  #componentsOf(answered: Readonly<Record<string, unknown>>, mspId: string): void {
    const held = componentHolders(secureTermsOf(this.#task)).flatMap((by, component) =>
      by.includes(mspId) ? [String(component)] : [],
    );
    const fits = Object.keys(answered).length === held.length && held.every((component) => component in answered);
    insist(fits, 'SERVICE_ANSWER_MALFORMED', `${mspId} did not answer for exactly the components that it holds`);
  }

  #signed(signed: SignedBy, mspId: string, statement: Signable): void {
    const isOwn = signed.mspId === mspId && isSigned(this.#consortium, signed, statement);
    insist(isOwn, 'SIGNATURE_INVALID', `the answer is not signed with the key of ${mspId}`);
  }

  #bound(mspId: string): AttemptRef & { readonly consortium: string; readonly mspId: string } {
    return { consortium: this.#consortium.bootstrapHash, ...this.#ref, mspId };
  }
}

function insist(holds: boolean, code: string, detail: string): void {
  if (!holds) {
    throw new SevError(code, detail);
  }
}
