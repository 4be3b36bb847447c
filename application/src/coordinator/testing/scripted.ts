// SPDX-License-Identifier: Apache-2.0
import type { RoundRecord } from '@sev/chaincode/api';
import type { AggregatorClient } from '../../aggregator/aggregator-client.js';
import type { Scene } from '../../aggregator/testing/scene.js';
import { SevError } from '../../errors.js';
import { governance, learning } from '../../ledger/contracts.js';
import { silentLog, type ServiceLog } from '../../services/log.js';
import type { ServiceSession } from '../../services/rounds.js';
import { PATIENCE, type Patience } from '../aggregator-panel.js';
import type { SecureAttempt } from '../secure-attempt.js';
import { SecureSteps, type SecureStepsOptions } from '../secure-steps.js';
import { OwnStatementSource } from '../statement-sources.js';
import { StatementGatherer } from '../statements.js';

const QUESTIONS = [
  'prepare',
  'deal',
  'accept',
  'holdings',
  'reveal',
  'projections',
  'sums',
  'publish',
  'release',
] as const;

/** What an aggregator does in place of what it should; what is not there it does rightly. */
export type Lies = Partial<AggregatorClient>;

export function scripted(honest: AggregatorClient, lies: Lies = {}): AggregatorClient {
  const rightly = Object.fromEntries(QUESTIONS.map((name) => [name, (honest[name] as () => unknown).bind(honest)]));
  return { mspId: honest.mspId, ...(rightly as unknown as Omit<AggregatorClient, 'mspId'>), ...lies };
}

/** One answer to every question. */
export function always(answer: () => Promise<never>): Lies {
  return Object.fromEntries(QUESTIONS.map((name) => [name, answer]));
}

export const silent = always(() => new Promise(() => undefined));
export const behind = always(() => Promise.reject(new SevError('ROUND_STATE', 'the round is open')));
export const gone = always(() => Promise.reject(new SevError('SERVICE_UNREACHABLE', 'nobody listens')));

/** Short for those who are not needed: the aggregators of a scene answer side by side, in one process. */
export const SHORT: Patience = { ...PATIENCE, stragglerMs: 50, slowMs: 1, lagMs: 20 };

/** A coordinator's secure steps around the aggregators of a scene, of which some lie. */
export class ScriptedSteps {
  readonly steps: SecureSteps;
  readonly warnings: { readonly fields: Readonly<Record<string, unknown>>; readonly text: string }[] = [];
  readonly #scene: Scene;

  constructor(
    scene: Scene,
    lies: Readonly<Record<string, Lies>>,
    options: Partial<SecureStepsOptions> & { readonly session?: ServiceSession } = {},
  ) {
    this.#scene = scene;
    const { session = scene.federation.ledger.session('GridMSP'), ...others } = options;
    const log: ServiceLog = {
      ...silentLog,
      warn: (fields, text) => this.warnings.push({ fields: { ...fields }, text }),
    };
    this.steps = new SecureSteps({
      learning: learning(session),
      store: scene.federation.store,
      aggregators: scene.terms.aggregators.map((mspId) => scripted(scene.at(mspId), lies[mspId])),
      log,
      ...others,
    });
  }

  /** Codes of those that were left out, by their MSP id. */
  get leftOut(): Readonly<Record<string, unknown>> {
    const named = this.warnings.flatMap(({ fields }) => ('organisation' in fields ? [fields] : []));
    return Object.fromEntries(named.map(({ organisation, code }) => [String(organisation), code]));
  }

  async attempt(round: RoundRecord = this.#scene.round): Promise<SecureAttempt> {
    const { federation } = this.#scene;
    const consortium = await governance(federation.ledger.session('GridMSP')).consortium();
    const sources = federation.mspIds.map((mspId) => new OwnStatementSource(federation.signer(mspId)));
    return { consortium, task: federation.task, round, gatherer: new StatementGatherer(consortium, sources) };
  }

  async opening(accused: readonly string[] = [], doubted: readonly string[] = []) {
    const { consortium, task } = await this.attempt();
    const { ref, base: baseModelHash } = this.#scene;
    return this.steps.opening({ consortium, task, ref, baseModelHash, accused, doubted });
  }
}
