// SPDX-License-Identifier: Apache-2.0
import { componentHolders, type ConsortiumRecord, type Task } from '@sev/chaincode/api';
import { attemptOf } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import type { ComponentNumbers, FinalisedRound, PastRound, PastRounds } from '../services/past-rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';
import type { AggregatorPanel } from './aggregator-panel.js';
import { AnswerChecks } from './answer-checks.js';

/** Who a past round's numbers are had from. */
export interface PastSources {
  readonly past: PastRounds;
  readonly panel: AggregatorPanel;
  readonly log: ServiceLog;
}

/** Earlier rounds that a round is scored beside, and the numbers that attesters check them by. */
export interface PastEvidence {
  readonly rounds: readonly PastRound[];
  /** In the same order. */
  readonly numbers: readonly ComponentNumbers[];
}

/**
 * The earlier rounds whose numbers can be had: what this coordinator has seen opened, or aggregators open again. What no
 * aggregator has any more is left out, and the scores say so.
 */
export async function pastEvidence(
  { past, panel, log }: PastSources,
  consortium: ConsortiumRecord,
  task: Task,
  round: number,
): Promise<PastEvidence> {
  const rounds: PastRound[] = [];
  const numbers: ComponentNumbers[] = [];
  for (const record of await past.before(task, round)) {
    try {
      const known = past.numbersOf(record) ?? (await askForNumbers(panel, consortium, task, record));
      const found = await past.of(task, record, known);
      if (found !== undefined && known !== undefined) {
        rounds.push(found);
        numbers.push(known);
      }
    } catch (error) {
      log.warn({ ...failureFields(error), ...attemptOf(record) }, 'an earlier round is left out of the scores');
    }
  }
  return { rounds, numbers };
}

async function askForNumbers(
  panel: AggregatorPanel,
  consortium: ConsortiumRecord,
  task: Task,
  record: FinalisedRound,
): Promise<ComponentNumbers | undefined> {
  const { secure } = record;
  if (secure === undefined) {
    return undefined;
  }
  const ref = attemptOf(record);
  const checks = new AnswerChecks(consortium, task, ref);
  const terms = secureTermsOf(task);
  const { answers } = await panel.of(secure.opening).gather(
    'opening the numbers of an earlier round again',
    terms.threshold + 1,
    (client) => client.pastNumbers(ref),
    (answer, mspId) => {
      checks.pastNumbers(answer, mspId, secure);
    },
  );
  const all = Object.assign({}, ...answers.map(({ value }) => value)) as ComponentNumbers;
  return componentHolders(terms).every((_, component) => Object.hasOwn(all, String(component))) ? all : undefined;
}
