// SPDX-License-Identifier: Apache-2.0
import {
  componentHolders,
  reportContext,
  ringBitsOfTerms,
  type IncidentView,
  type RoundRecord,
  type SecureRound,
  type SecureTerms,
  type Task,
} from '@sev/chaincode/api';
import type { AggregatorClient } from '../aggregator/aggregator-client.js';
import { SevError, messageOf } from '../errors.js';
import { incidents } from '../ledger/incidents.js';
import { learning } from '../ledger/contracts.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { errorCode } from '../services/log.js';
import { networkName } from '../services/network-name.js';
import type { LearningContract, ServiceSession } from '../services/rounds.js';
import { secureTermsOf } from '../services/secure-scores.js';
import type { Opened } from './findings.js';
import { agreedProjections, committedVector, type Answer } from './opened-update.js';
import { incidentSeed, openedDepth } from './voted.js';

/** Of whom it is asked what votes have opened. */
export type Discloser = Pick<AggregatorClient, 'mspId' | 'disclose'>;

/** A disputed round as the own ledger shows it. */
export interface DisputedRound {
  readonly ref: AttemptRef;
  readonly round: RoundRecord & { readonly secure: SecureRound };
  /** The suspect's commitment root and weight. */
  readonly root: string;
  readonly weight: number;
}

/** One opened update, and how far the aggregators bear it out. */
export interface OpenedRound extends DisputedRound {
  readonly opened: Opened;
  /** Of projections: components that one aggregator alone answered for. */
  readonly alone: readonly number[];
  /** Of vectors: aggregators that gave something else than was committed to. */
  readonly refuted: readonly string[];
  readonly silent: readonly { readonly mspId: string; readonly code: string; readonly message: string }[];
}

/** What of an incident can be opened, by the own ledger and the aggregators' answers. */
export class DisputedUpdates {
  readonly incident: IncidentView;
  readonly task: Task;
  readonly terms: SecureTerms;
  readonly #consortium: string;
  readonly #learning: LearningContract;
  readonly #aggregators: readonly Discloser[];
  readonly #opened = new Map<string, Promise<OpenedRound>>();

  private constructor(
    incident: IncidentView,
    task: Task,
    consortium: string,
    contract: LearningContract,
    aggregators: readonly Discloser[],
  ) {
    this.incident = incident;
    this.task = task;
    this.terms = secureTermsOf(task);
    this.#consortium = consortium;
    this.#learning = contract;
    this.#aggregators = aggregators;
  }

  /** @throws LedgerError INCIDENT_UNKNOWN. */
  static async of(
    incidentId: string,
    session: Pick<ServiceSession, 'evaluate' | 'submit'>,
    aggregators: readonly Discloser[],
  ): Promise<DisputedUpdates> {
    const contract = learning(session);
    const incident = await incidents(session).incident(incidentId);
    const [{ task }, consortium] = await Promise.all([contract.task(incident.taskId), networkName(session)()]);
    return new DisputedUpdates(incident, task, consortium, contract, aggregators);
  }

  /** Whether the second vote has opened the updates. */
  get hasVectors(): boolean {
    return this.incident.decidedBy.vectors !== undefined;
  }

  /** The disputed attempts, ascending by round. */
  get refs(): readonly AttemptRef[] {
    return this.incident.disputed.map((at) => ({ taskId: this.incident.taskId, ...at }));
  }

  /** @throws SevError INCIDENT_STATE where no vote has opened anything. */
  insistOnOpened(): this {
    this.refs.forEach((ref) => openedDepth(this.incident, ref));
    return this;
  }

  /** @throws SevError LEDGER_VIEW_INCONSISTENT where the ledger does not bear the incident out; LedgerError. */
  async round(ref: AttemptRef): Promise<DisputedRound> {
    const { vehicleId } = this.incident;
    const [round, cohort, { scores }] = await Promise.all([
      this.#learning.round(ref),
      this.#learning.cohort(ref),
      this.#learning.scores(ref),
    ]);
    const { secure } = round;
    const index = cohort.members.findIndex((member) => member.vehicleId === vehicleId);
    const member = cohort.members[index];
    if (member === undefined || secure === undefined || round.attempt !== ref.attempt) {
      throw new SevError('LEDGER_VIEW_INCONSISTENT', `${vehicleId} has no part in ${attemptKey(ref)}`);
    }
    return { ref, round: { ...round, secure }, root: member.updateHash, weight: scores.weights[index] ?? 0 };
  }

  /**
   * Asks all aggregators, and puts together what holds. Once had, it is not asked for again.
   *
   * @throws SevError INCIDENT_STATE where nothing is opened, EVIDENCE_DISAGREES, EVIDENCE_INCOMPLETE.
   */
  open(disputed: DisputedRound): Promise<OpenedRound> {
    const key = attemptKey(disputed.ref);
    const known = this.#opened.get(key) ?? this.#open(disputed);
    this.#opened.set(key, known);
    known.catch(() => this.#opened.delete(key));
    return known;
  }

  async #open(disputed: DisputedRound): Promise<OpenedRound> {
    const { incident, terms } = this;
    const { ref } = disputed;
    const depth = openedDepth(incident, ref);
    const asked = await Promise.all(this.#aggregators.map((one) => ask(one, incident.incidentId, ref)));
    const answers = asked.flatMap((one) => ('opened' in one ? [one] : []));
    const silent = asked.flatMap((one) => ('opened' in one ? [] : [one]));
    const components = componentHolders(terms).length;
    if (depth === 'projections') {
      const seed = incidentSeed(this.#consortium, incident, ref);
      const { values, alone } = agreedProjections(projectionsOf(answers), seed, components);
      return { ...disputed, opened: { kind: 'projections', seed, values }, alone, refuted: [], silent };
    }
    const place = { consortium: this.#consortium, ...attemptOf(ref), baseModelHash: disputed.round.baseModelHash };
    const { values, refuted } = committedVector(vectorsOf(answers), {
      root: disputed.root,
      context: reportContext({ ...place, reporter: incident.vehicleId }),
      components,
      length: this.task.model.parameters + terms.metrics.length,
      bits: ringBitsOfTerms(terms),
    });
    return { ...disputed, opened: { kind: 'vectors', values }, alone: [], refuted, silent };
  }
}

async function ask(
  aggregator: Discloser,
  incidentId: string,
  ref: AttemptRef,
): Promise<Answer | OpenedRound['silent'][number]> {
  const { mspId } = aggregator;
  try {
    return { mspId, opened: await aggregator.disclose(incidentId, ref) };
  } catch (error) {
    return { mspId, code: errorCode(error) ?? 'SERVICE_FAILED', message: messageOf(error) };
  }
}

function projectionsOf(answers: readonly Answer[]): Answer<'projections'>[] {
  return answers.flatMap(({ mspId, opened }) => (opened.kind === 'projections' ? [{ mspId, opened }] : []));
}

function vectorsOf(answers: readonly Answer[]): Answer<'vectors'>[] {
  return answers.flatMap(({ mspId, opened }) => (opened.kind === 'vectors' ? [{ mspId, opened }] : []));
}
