// SPDX-License-Identifier: Apache-2.0
import { canonicalJson } from './canonical';
import type { Said, SecureRound } from './secure';

/** What of a round says who answered for which component, and what the arbiter found. */
export type AnsweredRound = Pick<
  SecureRound,
  'projections' | 'projectedBy' | 'sums' | 'answeredBy' | 'disputes' | 'faulty'
>;

/** What the ledger took as the one answer about a component, and from whom. */
export interface Answered {
  readonly component: number;
  readonly about: Said['about'];
  readonly hashes: readonly string[];
  readonly by: readonly string[];
}

/** Everything that aggregators answered for in a round: projections once it is scored, sums once they are committed. */
export function answersIn({
  projections,
  projectedBy = [],
  sums,
  answeredBy = [],
}: AnsweredRound): readonly Answered[] {
  return [
    ...projectedBy.map((by, component): Answered => {
      return { component, about: 'projections', hashes: [projections?.[component] ?? ''], by };
    }),
    ...answeredBy.map((by, component): Answered => ({ component, about: 'sums', hashes: sums?.[component] ?? [], by })),
  ];
}

/** Who answered and was named by no verdict. */
export function heardOf({ faulty }: Pick<SecureRound, 'faulty'>, by: readonly string[]): readonly string[] {
  return by.filter((mspId) => !faulty.includes(mspId));
}

/**
 * Components whose projections or sums rest on one aggregator whose word counts, or on none, without the arbiter having
 * found the very same; those that verdicts went against are among them. Ascending.
 */
export function unverifiedComponents(secure: AnsweredRound): readonly number[] {
  return componentsOf(
    answersIn(secure).filter((answer) => {
      const isAlone = heardOf(secure, answer.by).length < 2 && verdictOn(secure, answer) !== 'right';
      return isAlone || isRefuted(secure, answer);
    }),
  );
}

/**
 * Components that no model may be made of: every aggregator that answered for the projections or sums was named by a
 * verdict, the arbiter found others to be right, or an audit of the component named anybody. Ascending.
 */
export function refutedComponents(secure: AnsweredRound): readonly number[] {
  return componentsOf(answersIn(secure).filter((answer) => isRefuted(secure, answer)));
}

function isRefuted(secure: AnsweredRound, answer: Answered): boolean {
  const hasFailedAudit = secure.disputes.some(
    ({ component, phase, faulty = [] }) => component === answer.component && phase === 'audit' && faulty.length > 0,
  );
  return hasFailedAudit || heardOf(secure, answer.by).length === 0 || verdictOn(secure, answer) === 'wrong';
}

/** What settled disputes say of an answer: whoever they did not name was right in what it had said. */
function verdictOn({ disputes }: AnsweredRound, { component, about, hashes }: Answered): 'right' | 'wrong' | undefined {
  const right = disputes
    .filter((dispute) => dispute.component === component)
    .flatMap(({ said, faulty }) =>
      faulty === undefined ? [] : said.filter((one) => one.about === about && !faulty.includes(one.mspId)),
    );
  if (right.length === 0) {
    return undefined;
  }
  return right.some((one) => canonicalJson(one.hashes) === canonicalJson(hashes)) ? 'right' : 'wrong';
}

function componentsOf(answers: readonly Answered[]): readonly number[] {
  return [...new Set(answers.map(({ component }) => component))].sort((a, b) => a - b);
}
