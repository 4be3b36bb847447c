// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  componentHolders,
  ContractError,
  type ErrorCode,
  type Organisation,
  type Signable,
} from '../api';
import { isHeard, type SecureAttempt } from './secure-round';
import { requireSigned } from './statements';

/** What an aggregator signed of components that it holds: of each a hash, or one hash a shard. */
export interface SignedAnswer<T> {
  readonly mspId: string;
  readonly components: Readonly<Record<string, T>>;
  readonly signature: string;
}

/** What each aggregator whose word counts says of one component. */
export type Answers<T> = ReadonlyMap<string, T>;

/**
 * Checks answers: each aggregator's once, signed by it, about components that it holds. Those of aggregators that a verdict
 * named are left out.
 *
 * @returns the answers to each component of the task's sharing.
 * @throws ContractError ARGUMENT_INVALID, COMPONENT_NOT_HELD, SIGNATURE_INVALID
 */
export function answersOf<T>(
  { terms, secure }: SecureAttempt,
  signed: readonly SignedAnswer<T>[],
  organisations: readonly Organisation[],
  statementOf: (answer: SignedAnswer<T>) => Signable & { readonly mspId: string },
): readonly Answers<T>[] {
  const holders = componentHolders(terms);
  const answers = holders.map(() => new Map<string, T>());
  const seen = new Set<string>();
  for (const answer of signed.filter(({ mspId }) => isHeard(secure, mspId))) {
    const { mspId, signature, components } = answer;
    if (seen.has(mspId)) {
      throw new ContractError('ARGUMENT_INVALID', `${mspId} answers twice`);
    }
    seen.add(mspId);
    for (const [index, content] of Object.entries(components)) {
      const answered = answers[Number(index)];
      const isHolder = holders[Number(index)]?.includes(mspId) === true && secure.holders?.includes(mspId) === true;
      if (answered === undefined || !isHolder) {
        throw new ContractError('COMPONENT_NOT_HELD', `component ${index} by ${mspId}`);
      }
      answered.set(mspId, content);
    }
    requireSigned(statementOf(answer), signature, organisations);
  }
  return answers;
}

export interface AgreedAnswer<T> {
  readonly content: T;
  /** Sorted. */
  readonly by: readonly string[];
}

/**
 * The one answer to each component.
 *
 * @param disagree - the code of the refusal where two aggregators' answers differ.
 * @throws ContractError AGGREGATORS_MISSING where nobody answers for a component.
 */
export function agreed<T>(answers: readonly Answers<T>[], disagree: ErrorCode): readonly AgreedAnswer<T>[] {
  return answers.map((byAggregator, component) => {
    const [first, ...others] = [...byAggregator];
    if (first === undefined) {
      throw new ContractError('AGGREGATORS_MISSING', `nobody whose word counts answers for component ${component}`);
    }
    const [mspId, content] = first;
    const other = others.find(([, differing]) => canonicalJson(differing) !== canonicalJson(content));
    if (other !== undefined) {
      throw new ContractError(disagree, `component ${component}: ${mspId} and ${other[0]} differ`);
    }
    return { content, by: [...byAggregator.keys()].sort() };
  });
}
