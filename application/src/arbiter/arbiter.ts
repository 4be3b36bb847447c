// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  componentHolders,
  openedNumbers,
  openingHash,
  ringBitsOfTerms,
  sha256Hex,
  shardsOf,
  signStatement,
  type CohortRecord,
  type OpeningStatement,
  type RoundOpening,
  type SignedBy,
  type VerdictStatement,
} from '@sev/chaincode/api';
import {
  addScaledTo,
  checkComponent,
  componentValues,
  project,
  projectionVectors,
  projectOn,
  ringBytes,
  ringZeros,
  SecureError,
  type RingVector,
} from '@sev/fl';
import type { KeyObject } from 'node:crypto';
import { noiseOf } from '../aggregator/cohort-work.js';
import { openRelease, type ReleasedComponent } from '../aggregator/release.js';
import { SevError } from '../errors.js';
import { learning } from '../ledger/contracts.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { failureFields, type ServiceLog } from '../services/log.js';
import { basesOf, nextBaseOf } from '../services/next-attempt.js';
import { networkName, type NetworkName } from '../services/network-name.js';
import { type LearningContract, type ServiceSession } from '../services/rounds.js';
import type { ObjectStore } from '../store/object-store.js';
import { directionIfAny } from '../validation/directions.js';
import type { ArbiterClient, Verdict, VerdictRequest } from './arbiter-client.js';
import type { ArbiterKeys } from './arbiter-keys.js';
import { disputeOnLedger, type DisputedRound } from './disputed-round.js';

export interface ArbiterOptions {
  readonly session: ServiceSession;
  readonly store: ObjectStore;
  readonly keys: ArbiterKeys;
  readonly signingKey: KeyObject;
  readonly log: ServiceLog;
}

/** A component of every report that is summed, checked against what the reporters signed. */
type CheckedComponent = ReadonlyMap<string, RingVector>;

/**
 * Settles disputes for an organisation that is no aggregator. It believes its own ledger, the commitments that vehicles
 * signed, and its own computation. What is released to it is one component: the others hold the rest.
 */
export class Arbiter implements ArbiterClient {
  readonly mspId: string;
  readonly #options: ArbiterOptions;
  readonly #learning: LearningContract;
  readonly #network: NetworkName;

  constructor(options: ArbiterOptions) {
    this.#options = options;
    this.mspId = options.session.mspId;
    this.#learning = learning(options.session);
    this.#network = networkName(options.session);
  }

  async prepare(ref: AttemptRef): Promise<NonNullable<RoundOpening['arbiter']>> {
    await this.#insistOnNext(ref);
    const { publicKey } = await this.#options.keys.keyOf(ref);
    return { mspId: this.mspId, sealingKey: publicKey };
  }

  async accept(ref: AttemptRef, baseModelHash: string, opening: RoundOpening): Promise<SignedBy> {
    await this.#insistOnNext(ref);
    const { publicKey } = await this.#options.keys.keyOf(ref);
    const { arbiter, aggregators } = opening;
    if (arbiter?.mspId !== this.mspId || arbiter.sealingKey !== publicKey) {
      throw new SevError('OPENING_INVALID', `the opening of ${attemptKey(ref)} names another key of the arbiter`);
    }
    if (aggregators.some(({ mspId }) => mspId === this.mspId)) {
      throw new SevError('OPENING_INVALID', 'an aggregator does not judge itself');
    }
    const statement: OpeningStatement = {
      type: 'sev/round-opening/v1',
      consortium: await this.#network(),
      ...attemptOf(ref),
      mspId: this.mspId,
      baseModelHash,
      openingHash: openingHash(opening),
    };
    return { mspId: this.mspId, signature: signStatement(statement, this.#options.signingKey) };
  }

  async verdict(request: VerdictRequest): Promise<Verdict> {
    const { ref, phase, component } = request;
    const round = await disputeOnLedger(this.#learning, await this.#network(), request);
    const reference = await this.#reference(round);
    const faulty = faultyIn(round, await this.#released(round, request), reference);
    const statement: VerdictStatement = {
      type: 'sev/verdict/v1',
      consortium: round.consortium,
      ...attemptOf(ref),
      mspId: this.mspId,
      component,
      phase,
      faulty,
    };
    this.#options.log.warn({ ...attemptOf(ref), component, phase, faulty }, 'gave a verdict');
    return { faulty, signature: signStatement(statement, this.#options.signingKey) };
  }

  /** A key is kept for ever, so there is one only for what the ledger opens next. @throws SevError ROUND_OUT_OF_ORDER */
  async #insistOnNext(ref: AttemptRef): Promise<void> {
    const { task } = await this.#learning.task(ref.taskId);
    await nextBaseOf(ref, task, basesOf(this.#options.session));
  }

  /** Only where projections are disputed: of sums, the direction is not needed, and may be gone. */
  async #reference({ references, dispute, round, task }: DisputedRound): Promise<Int32Array | undefined> {
    return dispute.said.some(({ about }) => about === 'projections')
      ? directionIfAny(round.secure, references, task.model.parameters, (hash) => this.#options.store.get(hash))
      : undefined;
  }

  /** The component as the first holder whose release is whole and fits the commitments gave it. */
  async #released(round: DisputedRound, { ref, component, releases }: VerdictRequest): Promise<CheckedComponent> {
    const { privateKey } = await this.#options.keys.keyOf(ref);
    const place = { consortium: round.consortium, ...attemptOf(ref), baseModelHash: round.round.baseModelHash };
    for (const { mspId, release } of releases) {
      try {
        const entries: ReleasedComponent[] = [];
        for (const [index, hash] of release.objects.entries()) {
          const sealed = await this.#options.store.get(hash);
          entries.push(...(await openRelease(place, { from: mspId, component, index, sealed }, privateKey)));
        }
        return checked(round, component, entries);
      } catch (error) {
        this.#options.log.warn(
          { ...attemptOf(ref), holder: mspId, ...failureFields(error) },
          'a release does not hold',
        );
      }
    }
    throw new SevError('RELEASE_INVALID', `no holder released component ${String(component)} as it was committed to`);
  }
}

function checked(round: DisputedRound, component: number, entries: readonly ReleasedComponent[]): CheckedComponent {
  const { members, terms, length, contextOf } = round;
  const noise = noiseOf(round.round, round.seed);
  const roots = new Map([
    ...members.map(({ vehicleId, updateHash }): [string, string] => [vehicleId, updateHash]),
    ...noise.map(({ reporter, root }): [string, string] => [reporter, root]),
  ]);
  const values = new Map<string, RingVector>();
  const bits = ringBitsOfTerms(terms);
  for (const { reporter, leaves, released } of entries) {
    const root = roots.get(reporter);
    if (root === undefined || released.component !== component) {
      throw new SecureError('SHARE_MISMATCH', `${reporter} is not summed, or another component was released`);
    }
    const context = contextOf(reporter);
    checkComponent(root, leaves, context, released);
    values.set(reporter, componentValues(released, componentHolders(terms).length, context, length, bits));
  }
  const missing = [...roots.keys()].find((reporter) => !values.has(reporter));
  if (missing !== undefined) {
    throw new SecureError('SHARE_INCOMPLETE', `the component of ${missing} is missing`);
  }
  return values;
}

/** Who said something else of the component than the released values give; sorted. */
function faultyIn(round: DisputedRound, values: CheckedComponent, reference: Int32Array | undefined): string[] {
  const { said } = round.dispute;
  const right = {
    projections: said.some(({ about }) => about === 'projections') ? projectionHashes(round, values, reference) : [],
    sums: said.some(({ about }) => about === 'sums') ? sumHashes(round, values) : [],
  };
  const wrong = said.filter(({ about, hashes }) => canonicalJson(hashes) !== canonicalJson(right[about]));
  return [...new Set(wrong.map(({ mspId }) => mspId))].sort();
}

/** What holders should have signed as the hash of their numbers. */
function projectionHashes(
  { terms, members, task, seed }: DisputedRound,
  values: CheckedComponent,
  reference: Int32Array | undefined,
): string[] {
  const count = openedNumbers(terms);
  const vectors = projectionVectors(seed, terms.projections, task.model.parameters);
  const numbers = new Uint32Array(members.length * count);
  members.forEach(({ vehicleId }, index) => {
    const component = valuesOf(values, vehicleId);
    numbers.set(project(component, vectors), index * count);
    if (reference !== undefined) {
      numbers[(index + 1) * count - 1] = projectOn(component, reference);
    }
  });
  return [sha256Hex(ringBytes(numbers))];
}

/** What holders should have signed as the hashes of their sums, one a shard. */
function sumHashes(round: DisputedRound, values: CheckedComponent): string[] {
  const { members, weights, seed, length, terms } = round;
  if (weights === undefined) {
    throw new SevError('LEDGER_VIEW_INCONSISTENT', 'sums are disputed in a round that is not scored');
  }
  const ids = members.map(({ vehicleId }: CohortRecord['members'][number]) => vehicleId);
  return shardsOf(ids, seed, terms.shardSize).map((indices, shard) => {
    const sum = ringZeros(length, ringBitsOfTerms(terms));
    for (const index of indices) {
      addScaledTo(sum, valuesOf(values, ids[index] ?? ''), weights[index] ?? 0);
    }
    for (const { reporter } of shard === 0 ? noiseOf(round.round, seed) : []) {
      addScaledTo(sum, valuesOf(values, reporter), 1);
    }
    return sha256Hex(ringBytes(sum));
  });
}

function valuesOf(values: CheckedComponent, reporter: string): RingVector {
  const found = values.get(reporter);
  if (found === undefined) {
    throw new SevError('RELEASE_INVALID', `the component of ${reporter} was not released`);
  }
  return found;
}
