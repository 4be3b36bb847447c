// SPDX-License-Identifier: Apache-2.0
import {
  barredAggregators,
  type ConsortiumRecord,
  type RoundOpening,
  type SignedBy,
  type Task,
} from '@sev/chaincode/api';
import type { Deal, PreparedPart } from '../aggregator/aggregator-client.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { AccusationError } from '../services/accusation.js';
import type { AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { within } from '../services/within.js';
import { aggregatorsMissing, type AggregatorPanel, type LeftOut } from './aggregator-panel.js';
import { AnswerChecks } from './answer-checks.js';
import { subsetsBySize } from '../services/subsets.js';

export interface OpeningContent {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly ref: AttemptRef;
  readonly baseModelHash: string;
  /** Aggregators that attempts before at this round showed to be wrong. */
  readonly accused: readonly string[];
}

/** As learning:OpenRound takes it. */
export interface SignedOpening {
  readonly opening: RoundOpening;
  readonly statements: SignedBy[];
}

/** Who helps to open a round. */
export interface OpeningHelpers {
  readonly panel: AggregatorPanel;
  readonly arbiter: ArbiterClient | undefined;
  readonly log: ServiceLog;
}

/** How long the arbiter may take to give its key, or to sign; the round opens without it then. */
const ARBITER_MS = 5_000;

/**
 * Has the aggregators commit themselves to an attempt. Who does not answer, or does not sign, is left out. Where one says
 * that another dealt falsely, either may lie: the opening is tried again without one of them, and each such try rules out at
 * least one more pair, so that it ends. Honest aggregators accuse no one of them, so they remain.
 *
 * @throws SevError AGGREGATORS_MISSING where no t + 1 agree.
 */
export async function agreeOnOpening(content: OpeningContent, helpers: OpeningHelpers): Promise<SignedOpening> {
  const { task, ref, baseModelHash, consortium } = content;
  const needed = secureTermsOf(task).threshold + 1;
  const checks = new AnswerChecks(consortium, task, ref);
  let arbiter = arbiterKey(content, helpers, checks);
  const { parts, deals } = await preparedParts(content, helpers.panel, checks);
  const disagreement = new Disagreement();
  for (;;) {
    const members = disagreement.largestRest([...parts.keys()], needed, ref.attempt - 1);
    if (members === undefined) {
      throw aggregatorsMissing('agreeing on an opening', needed, disagreement.refusals);
    }
    const key = await arbiter;
    const opening: RoundOpening = {
      aggregators: members.flatMap((mspId) => parts.get(mspId)?.part ?? []),
      ...(key === undefined ? {} : { arbiter: key }),
    };
    const signing = key === undefined ? undefined : arbiterSignature(opening, content, helpers, checks);
    const { answers, leftOut } = await helpers.panel.only(members).gather(
      'signing an opening',
      needed,
      (client) => {
        const dealt = deals.filter(({ from, to }) => to === client.mspId && members.includes(from));
        return client.accept(ref, opening, dealt);
      },
      (signed, mspId) => {
        checks.opening(signed, mspId, baseModelHash, opening);
      },
    );
    const byArbiter = await signing;
    const isArbiterThere = key === undefined || byArbiter !== undefined;
    if (leftOut.length === 0 && isArbiterThere) {
      const signatures = answers.map(({ value }) => value);
      return { opening, statements: byArbiter === undefined ? signatures : [...signatures, byArbiter] };
    }
    disagreement.add(leftOut, members);
    arbiter = isArbiterThere ? arbiter : Promise.resolve(undefined);
  }
}

/** Parts and deals of all that made both. Deals are between two, so they do for every choice among these. */
async function preparedParts(
  { task, ref, baseModelHash, accused }: OpeningContent,
  all: AggregatorPanel,
  checks: AnswerChecks,
): Promise<{ readonly parts: ReadonlyMap<string, PreparedPart>; readonly deals: readonly Deal[] }> {
  const terms = secureTermsOf(task);
  const { aggregators, threshold } = terms;
  const barred = barredAggregators(terms, accused);
  const prepared = await all.only(aggregators.filter((mspId) => !barred.includes(mspId))).ask(
    'preparing a round',
    threshold + 1,
    (client) => client.prepare(ref, baseModelHash),
    (answer, mspId) => {
      checks.part(answer, mspId, baseModelHash);
    },
  );
  const sorted = [...prepared].sort((a, b) => (a.part.mspId < b.part.mspId ? -1 : 1));
  const names = sorted.map(({ part }) => part.mspId);
  const dealt = await all.only(names).gather(
    'dealing nonces',
    threshold + 1,
    (client) => client.deal(ref, sorted),
    (answer, mspId) => {
      checks.deals(answer, mspId, names);
    },
  );
  const dealers = new Set(dealt.answers.map(({ mspId }) => mspId));
  return {
    parts: new Map(sorted.filter(({ part }) => dealers.has(part.mspId)).map((one) => [one.part.mspId, one] as const)),
    deals: dealt.answers.flatMap(({ value }) => value),
  };
}

/** Who refused an opening, and who accused whom. */
class Disagreement {
  readonly #refusing = new Set<string>();
  readonly #pairs: (readonly [string, string])[] = [];
  readonly #refusals: LeftOut[] = [];

  get refusals(): readonly LeftOut[] {
    return this.#refusals;
  }

  add(leftOut: readonly LeftOut[], members: readonly string[]): void {
    for (const { mspId, error } of leftOut) {
      this.#refusals.push({ mspId, error });
      const accused = error instanceof AccusationError ? error.accused : undefined;
      if (accused !== undefined && accused !== mspId && members.includes(accused)) {
        this.#pairs.push([mspId, accused]);
      } else {
        this.#refusing.add(mspId);
      }
    }
  }

  /**
   * The largest choice in which nobody refused and nobody accused another; undefined below so many. Of several as large,
   * attempts take one after the other, so that a liar cannot have the honest one left out each time.
   */
  largestRest(mspIds: readonly string[], needed: number, turn: number): readonly string[] | undefined {
    const willing = mspIds.filter((mspId) => !this.#refusing.has(mspId));
    const peaceful = subsetsBySize(willing).filter(
      (members) =>
        members.length >= needed && !this.#pairs.some(([a, b]) => members.includes(a) && members.includes(b)),
    );
    const largest = peaceful.filter(({ length }) => length === peaceful[0]?.length);
    return largest[turn % Math.max(1, largest.length)];
  }
}

async function arbiterKey(
  { ref }: OpeningContent,
  { arbiter, log }: OpeningHelpers,
  checks: AnswerChecks,
): Promise<RoundOpening['arbiter']> {
  if (arbiter === undefined) {
    return undefined;
  }
  try {
    const key = await within(ARBITER_MS, 'the key of the arbiter', arbiter.prepare(ref));
    checks.arbiterKey(key, arbiter.mspId);
    return key;
  } catch (error) {
    log.warn({ arbiter: arbiter.mspId, ...failureFields(error) }, 'the round opens without an arbiter');
    return undefined;
  }
}

async function arbiterSignature(
  opening: RoundOpening,
  { ref, baseModelHash }: OpeningContent,
  { arbiter, log }: OpeningHelpers,
  checks: AnswerChecks,
): Promise<SignedBy | undefined> {
  if (arbiter === undefined) {
    return undefined;
  }
  try {
    const answer = arbiter.accept(ref, baseModelHash, opening);
    const signed = await within(ARBITER_MS, 'the signature of the arbiter', answer);
    checks.opening(signed, arbiter.mspId, baseModelHash, opening);
    return signed;
  } catch (error) {
    log.warn({ arbiter: arbiter.mspId, ...failureFields(error) }, 'the round opens without an arbiter');
    return undefined;
  }
}
