// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  heOpeningHash,
  heParties,
  heTermsProblem,
  MAX_SHOWN_ATTEMPTS,
  parsePublicKey,
  type HeRound,
  type OpeningStatement,
  type OpenRound,
  type Organisation,
  type ShownAttempt,
  type Task,
} from '../api';
import { requireSigned } from './statements';

/** @throws ContractError ARGUMENT_INVALID, naming the path, where the terms of mode `he` break a rule. */
export function checkHeTerms(task: Task): void {
  const broken = heTermsProblem(task);
  if (broken !== undefined) {
    throw new ContractError('ARGUMENT_INVALID', `${broken.path}: ${broken.problem}`);
  }
}

/** @throws ContractError ORGANISATION_UNKNOWN for a party that is not a member. */
export function checkPartiesAreMembers({ he }: Task, organisations: readonly Organisation[]): void {
  const parties = he === undefined ? [] : heParties(he);
  const stranger = parties.find((mspId) => !organisations.some((member) => member.mspId === mspId));
  if (stranger !== undefined) {
    throw new ContractError('ORGANISATION_UNKNOWN', `${stranger}, which mode he gives a part`);
  }
}

/**
 * What a new attempt carries in mode `he`: fresh keys, signed for by all three organisations.
 *
 * @param facts.shown - attempts on this base whose sums may have been shown.
 * @returns undefined in other modes.
 * @throws ContractError OPENING_INVALID, SIGNATURE_INVALID, BASE_BURNED
 */
export function openedHomomorphically(
  task: Task,
  input: OpenRound,
  facts: {
    readonly consortium: string;
    readonly organisations: readonly Organisation[];
    readonly shown: readonly ShownAttempt[] | undefined;
  },
): HeRound | undefined {
  const { he: opening } = input;
  const { he: terms } = task;
  if (terms === undefined) {
    if (opening !== undefined) {
      throw new ContractError('OPENING_INVALID', `he: task ${task.taskId} runs in mode ${task.privacy}`);
    }
    return undefined;
  }
  if (opening === undefined || input.opening !== undefined) {
    throw new ContractError('OPENING_INVALID', `task ${task.taskId} runs in mode he, and is opened with its keys only`);
  }
  if (parsePublicKey(opening.sealingKey) === undefined) {
    throw new ContractError('OPENING_INVALID', 'he.sealingKey is no P-256 key');
  }
  const shownAttempts = facts.shown ?? [];
  if (shownAttempts.length >= MAX_SHOWN_ATTEMPTS) {
    throw new ContractError('BASE_BURNED', `sums of ${shownAttempts.length} attempts on this base may have been shown`);
  }
  const openingHash = heOpeningHash(opening);
  const { taskId, round, attempt, baseModelHash, statements = [] } = input;
  for (const mspId of heParties(terms)) {
    const content = { taskId, round, attempt, mspId, baseModelHash, openingHash };
    const statement: OpeningStatement = { type: 'sev/round-opening/v1', consortium: facts.consortium, ...content };
    const signature = statements.find((signed) => signed.mspId === mspId)?.signature ?? '';
    requireSigned(statement, signature, facts.organisations);
  }
  return { opening, openingHash, shownAttempts };
}

/** What of an opening a repetition is compared by; undefined in other modes. */
export function heOpeningHashOf({ he }: Pick<OpenRound, 'he'>): string | undefined {
  return he && heOpeningHash(he);
}
