// SPDX-License-Identifier: Apache-2.0
import {
  arbitersOf,
  barredAggregators,
  heardValidators,
  neededDirections,
  type ConsortiumRecord,
  type RoundOpening,
  type SignedBy,
  type Task,
  type Validation,
  type ValidatorRecord,
} from '@sev/chaincode/api';
import type { Deal, PreparedPart } from '../aggregator/aggregator-client.js';
import type { ArbiterClient } from '../arbiter/arbiter-client.js';
import { SevError, messageOf } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import type { AttemptRef } from '../services/attempt.js';
import { errorCode, type ServiceLog } from '../services/log.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { within } from '../services/within.js';
import { aggregatorsMissing, type AggregatorPanel, type LeftOut } from './aggregator-panel.js';
import { AnswerChecks } from './answer-checks.js';
import { subsetsBySize } from '../services/subsets.js';
import type { ValidatorClient } from '../validation/validator-client.js';

export interface OpeningContent {
  readonly consortium: ConsortiumRecord;
  readonly task: Task;
  readonly ref: AttemptRef;
  readonly baseModelHash: string;
  /** Aggregators that attempts before at this round showed to be wrong. */
  readonly accused: readonly string[];
  /** Aggregators that an audit in the attempt before found wrong. */
  readonly doubted: readonly string[];
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
  readonly validators: AggregatorPanel<ValidatorClient>;
  /** What the ledger keeps of a task's validators. */
  readonly heardBefore: (taskId: string) => Promise<readonly ValidatorRecord[]>;
  readonly log: ServiceLog;
}

/** How long the arbiter may take to give its key, or to sign. */
const ARBITER_MS = 5_000;

/**
 * Has the aggregators commit themselves to an attempt. Who does not answer, or does not sign, is left out. Where one says
 * that another dealt falsely, either may lie: the opening is tried again without one of them, and each such try rules out at
 * least one more pair, so that it ends. Honest aggregators accuse no one of them, so they remain.
 *
 * @throws SevError AGGREGATORS_MISSING where no t + 1 agree; ARBITER_MISSING where a member may be the arbiter and none takes
 *   part: without one a single lie would cost what it falsifies, so the round waits; VALIDATORS_MISSING where the task has
 *   validators and no majority of them gives its word.
 */
export async function agreeOnOpening(content: OpeningContent, helpers: OpeningHelpers): Promise<SignedOpening> {
  const { task, ref, baseModelHash, consortium } = content;
  const needed = secureTermsOf(task).threshold + 1;
  const checks = new AnswerChecks(consortium, task, ref);
  const arbiter = arbiterOf(content, helpers);
  const [key, { parts, deals }, validations] = await Promise.all([
    arbiter && arbiterKey(arbiter, content, checks),
    preparedParts(content, helpers.panel, checks),
    gatherValidations(content, helpers, checks),
  ]);
  const disagreement = new Disagreement();
  for (;;) {
    const members = disagreement.largestRest([...parts.keys()], needed, ref.attempt - 1);
    if (members === undefined) {
      throw aggregatorsMissing('agreeing on an opening', needed, disagreement.refusals);
    }
    const opening: RoundOpening = {
      aggregators: members.flatMap((mspId) => parts.get(mspId)?.part ?? []),
      ...(key === undefined ? {} : { arbiter: key }),
      ...(validations === undefined ? {} : { validations: [...validations] }),
    };
    const signing = arbiter && arbiterSignature(arbiter, opening, content, checks);
    signing?.catch(() => undefined); // It is looked at once the aggregators have signed, or refused.
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
    if (leftOut.length === 0) {
      const byArbiter = await signing;
      const signatures = answers.map(({ value }) => value);
      return { opening, statements: byArbiter === undefined ? signatures : [...signatures, byArbiter] };
    }
    disagreement.add(leftOut, members);
  }
}

/** The word of all validators that give it; undefined where the task has none. */
async function gatherValidations(
  { consortium: { organisations }, task, ref, baseModelHash }: OpeningContent,
  { validators: panel, heardBefore }: OpeningHelpers,
  checks: AnswerChecks,
): Promise<readonly Validation[] | undefined> {
  const terms = task.secure?.validation;
  if (terms === undefined) {
    return undefined;
  }
  const validators = await heardBefore(task.taskId);
  const heard = heardValidators(terms, { validators, organisations });
  const needed = neededDirections(heard.length);
  const { answers, leftOut } = await panel.only(heard).gather(
    'validating the base model',
    needed,
    (client) => client.validate(ref, baseModelHash),
    (answer, mspId) => {
      const before = validators.find((record) => record.mspId === mspId);
      checks.validation(answer, mspId, { baseModelHash, dataHash: before?.dataHash });
    },
  );
  if (answers.length < needed) {
    const reasons = leftOut.map(({ mspId, error }) => `${mspId} ${errorCode(error) ?? 'FAILED'}`).join(', ');
    const detail = `the round waits for ${String(needed)} of ${heard.join(', ')}, which validate it`;
    throw new SevError('VALIDATORS_MISSING', `${detail}; left out: ${reasons || 'those that are not known here'}`, {
      hint:
        'Start their attesters with --validation-data (of generated data --validation-generate), and name them with ' +
        "--attester; the coordinator's own takes it too.",
    });
  }
  return answers.map(({ value }) => value).sort((a, b) => (a.mspId < b.mspId ? -1 : 1));
}

/** Parts and deals of all that made both. Deals are between two, so they do for every choice among these. */
async function preparedParts(
  { task, ref, baseModelHash, accused, doubted }: OpeningContent,
  all: AggregatorPanel,
  checks: AnswerChecks,
): Promise<{ readonly parts: ReadonlyMap<string, PreparedPart>; readonly deals: readonly Deal[] }> {
  const terms = secureTermsOf(task);
  const { aggregators, threshold } = terms;
  // The contract bars who is accused. Whom the arbiter alone found wrong is left out as long as enough others are.
  const both = barredAggregators(terms, [...new Set([...accused, ...doubted])]);
  const barred = both.length > 0 ? both : barredAggregators(terms, accused);
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

/** @returns undefined where no member may be the arbiter. @throws SevError ARBITER_MISSING where one may, and none is known here. */
function arbiterOf({ task, consortium }: OpeningContent, { arbiter }: OpeningHelpers): ArbiterClient | undefined {
  const able = arbitersOf(secureTermsOf(task), consortium.organisations);
  if (arbiter !== undefined && able.includes(arbiter.mspId)) {
    return arbiter;
  }
  if (able.length > 0) {
    throw new SevError('ARBITER_MISSING', `the round waits for ${able.join(' or ')}, which settles disputes`, {
      hint: 'Name the arbiter with --arbiter <organisation>=<url>.',
    });
  }
  return undefined;
}

async function arbiterKey(
  arbiter: ArbiterClient,
  { ref }: OpeningContent,
  checks: AnswerChecks,
): Promise<NonNullable<RoundOpening['arbiter']>> {
  try {
    const key = await within(ARBITER_MS, 'the key of the arbiter', arbiter.prepare(ref));
    checks.arbiterKey(key, arbiter.mspId);
    return key;
  } catch (error) {
    throw arbiterMissing(arbiter, error);
  }
}

async function arbiterSignature(
  arbiter: ArbiterClient,
  opening: RoundOpening,
  { ref, baseModelHash }: OpeningContent,
  checks: AnswerChecks,
): Promise<SignedBy> {
  try {
    const answer = arbiter.accept(ref, baseModelHash, opening);
    const signed = await within(ARBITER_MS, 'the signature of the arbiter', answer);
    checks.opening(signed, arbiter.mspId, baseModelHash, opening);
    return signed;
  } catch (error) {
    throw arbiterMissing(arbiter, error);
  }
}

function arbiterMissing({ mspId }: ArbiterClient, cause: unknown): SevError {
  return new SevError('ARBITER_MISSING', `the round waits for ${mspId}, which settles disputes: ${messageOf(cause)}`, {
    cause,
  });
}
