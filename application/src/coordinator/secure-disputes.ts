// SPDX-License-Identifier: Apache-2.0
import { componentHolders, type Dispute, type OpenDispute, type RoundRecord } from '@sev/chaincode/api';
import type { ArbiterClient, Verdict } from '../arbiter/arbiter-client.js';
import { SevError, messageOf } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { errorCode, type ServiceLog } from '../services/log.js';
import type { LearningContract } from '../services/rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';
import { within } from '../services/within.js';
import type { AggregatorPanel } from './aggregator-panel.js';
import { AnswerChecks } from './answer-checks.js';
import { secureOf, type SecureAttempt } from './secure-attempt.js';
import { contradictionIn, type Contradiction } from './secure-evidence.js';

/** How long the arbiter may take to compute a whole cohort's component again, before it is asked once more. */
const VERDICT_MS = 120_000;

/** Signed statements that contradict each other, as learning:OpenDispute takes them. */
export type DisputeEvidence = Pick<OpenDispute, 'projections' | 'sums' | 'nonces' | 'references'>;

/** Two aggregators contradict each other: nothing goes on before the arbiter has spoken. */
export class DisputeError extends SevError {
  readonly phase: 'projections' | 'sums';
  readonly component: number;
  readonly evidence: DisputeEvidence;

  constructor(phase: 'projections' | 'sums', { component, mspIds }: Contradiction, evidence: DisputeEvidence) {
    const [a, b] = mspIds;
    super('AGGREGATORS_DISAGREE', `${a} and ${b} signed different ${phase} of component ${String(component)}`);
    this.name = 'DisputeError';
    this.phase = phase;
    this.component = component;
    this.evidence = evidence;
  }
}

/** Sums of a component are one aggregator's word, or its projections were: they are not shown before the arbiter has audited them. */
export class AuditNeeded extends SevError {
  readonly component: number;
  readonly sums: OpenDispute['sums'];

  constructor(component: number, sums: OpenDispute['sums']) {
    super('COMPONENTS_UNVERIFIED', `component ${String(component)} rests on the word of one aggregator`);
    this.name = 'AuditNeeded';
    this.component = component;
    this.sums = sums.filter(({ components }) => Object.hasOwn(components, String(component)));
  }
}

/** @throws DisputeError where two of the statements contradict each other. */
export function insistOnAgreement(phase: 'projections' | 'sums', evidence: DisputeEvidence): void {
  const contradiction = contradictionIn(evidence[phase]);
  if (contradiction !== undefined) {
    // All that was said of the component: a component is disputed once, and who is not heard then can never be named.
    const speaksOfIt = ({ components }: { readonly components: object }): boolean =>
      Object.hasOwn(components, String(contradiction.component));
    throw new DisputeError(phase, contradiction, {
      ...evidence,
      projections: evidence.projections.filter(speaksOfIt),
      sums: evidence.sums.filter(speaksOfIt),
    });
  }
}

export interface DisputesOptions {
  readonly learning: LearningContract;
  readonly arbiter: ArbiterClient | undefined;
  readonly log: ServiceLog;
}

/** Brings contradictions and audits before the arbiter. Each step begins from what the ledger shows. */
export class Disputes {
  readonly #options: DisputesOptions;

  constructor(options: DisputesOptions) {
    this.#options = options;
  }

  /**
   * Shows a contradiction to the ledger, which releases the component to the arbiter.
   *
   * @throws SevError DISPUTE_UNDECIDABLE where nobody can settle it.
   */
  async open({ round }: SecureAttempt, { phase, component, evidence, message }: DisputeError): Promise<RoundRecord> {
    const { opening, disputes } = secureOf(round);
    if (opening.arbiter === undefined) {
      throw undecidable(`${message}; the opening names no arbiter`);
    }
    if (disputes.some((other) => other.component === component && other.phase === phase)) {
      throw undecidable(`${message}, after the arbiter's verdict on it`);
    }
    try {
      return (await this.#options.learning.openDispute({ ...attemptOf(round), phase, component, ...evidence })).result;
    } catch (error) {
      throw errorCode(error) === 'DISPUTE_REFUSED' ? undecidable(messageOf(error), error) : error;
    }
  }

  /**
   * Has a component audited that one aggregator alone answers for.
   *
   * @param sums that are to be committed; none once they are.
   * @returns undefined where the contract does not release it.
   */
  async audit(
    { round }: SecureAttempt,
    component: number,
    sums: OpenDispute['sums'] = [],
  ): Promise<RoundRecord | undefined> {
    const { learning, log } = this.#options;
    const ref = attemptOf(round);
    try {
      const audit = { ...ref, phase: 'audit' as const, component, projections: [], sums };
      return (await learning.openDispute(audit)).result;
    } catch (error) {
      if (errorCode(error) !== 'DISPUTE_REFUSED') {
        throw error;
      }
      log.warn({ ...ref, component, error: messageOf(error) }, 'a component is not released to the arbiter');
      return undefined;
    }
  }

  /**
   * Has the disputed component released by whoever holds it, and brings the arbiter's verdict to the ledger.
   *
   * @param holders aggregators whose word counts.
   * @throws SevError DISPUTE_UNSETTLED, DISPUTE_UNDECIDABLE where the verdict cannot be right.
   */
  async settle(attempt: SecureAttempt, dispute: Dispute, holders: AggregatorPanel): Promise<RoundRecord> {
    const { learning, arbiter, log } = this.#options;
    const { consortium, task, round } = attempt;
    const ref = attemptOf(round);
    const { component, phase } = dispute;
    const what = `the dispute about the ${phase} of component ${String(component)}`;
    if (arbiter === undefined || arbiter.mspId !== secureOf(round).opening.arbiter?.mspId) {
      throw new SevError('DISPUTE_UNSETTLED', `${what} waits for an arbiter`, {
        hint: 'Name the arbiter with --arbiter <organisation>=<url>.',
      });
    }
    const checks = new AnswerChecks(consortium, task, ref);
    const { answers } = await holders.only(componentHolders(secureTermsOf(task))[component] ?? []).gather(
      'releasing a component',
      1,
      (client) => client.release(ref, component),
      (release, mspId) => {
        checks.release(release, mspId, component);
      },
    );
    if (answers.length === 0) {
      throw new SevError('DISPUTE_UNSETTLED', `${what}: no holder releases it`);
    }
    const releases = answers.map(({ mspId, value }) => ({ mspId, release: value }));
    const { faulty, signature } = await verdictOf(
      what,
      arbiter.verdict({ ref, phase, component, releases }),
      (verdict) => {
        checks.verdict(verdict, arbiter.mspId, dispute);
      },
    );
    log.warn({ ...ref, component, phase, faulty }, 'the arbiter has settled a dispute');
    try {
      return (await learning.settleDispute({ ...ref, phase, component, faulty, signature })).result;
    } catch (error) {
      throw errorCode(error) === 'DISPUTE_REFUSED' ? undecidable(messageOf(error), error) : error;
    }
  }
}

/** @throws SevError DISPUTE_UNSETTLED where there is none yet, DISPUTE_UNDECIDABLE where it cannot be right. */
async function verdictOf(what: string, answer: Promise<Verdict>, check: (verdict: Verdict) => void): Promise<Verdict> {
  try {
    const verdict = await within(VERDICT_MS, `the verdict on ${what}`, answer);
    check(verdict);
    return verdict;
  } catch (error) {
    const detail = `${what}: ${messageOf(error)}`;
    throw errorCode(error) === 'VERDICT_INVALID'
      ? undecidable(detail, error)
      : new SevError('DISPUTE_UNSETTLED', detail, { cause: error });
  }
}

function undecidable(detail: string, cause?: unknown): SevError {
  return new SevError('DISPUTE_UNDECIDABLE', detail, { cause });
}
