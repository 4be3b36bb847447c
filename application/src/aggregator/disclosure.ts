// SPDX-License-Identifier: Apache-2.0
import {
  canonicalJson,
  cohortHash,
  encodeBitmap,
  hashOf,
  roundSeed,
  sha256Hex,
  type HoldingsStatement,
  type RoundState,
  type SumsStatement,
} from '@sev/chaincode/api';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { mapConcurrently } from '../services/concurrency.js';
import { FirstSeen } from '../services/first-seen.js';
import { directionIfAny, namedReference } from '../validation/directions.js';
import type {
  Nonces,
  OpenedNumbers,
  OpenedProjections,
  Release,
  Revealed,
  SignedHoldings,
  SignedSums,
} from './aggregator-client.js';
import { readOpening, readSecrets, type AttemptSecrets } from './attempt-secrets.js';
import { projectCohort, sumCohort, type ByComponent, type CohortWork } from './cohort-work.js';
import { HeldReports } from './held-reports.js';
import type { AttemptFolder } from './inbox.js';
import type { Intake } from './intake.js';
import type { SecureRoundRecord, SecureTask } from './ledger-view.js';
import { insistOnNonces } from './nonces.js';
import type { AggregatorParts } from './parts.js';
import { openedNoise } from './noise.js';
import { releaseComponent } from './release.js';
import { signProjections } from './projections-book.js';
import { insistOnSame } from './statement-book.js';

/** States in which the cohort is fixed and the round can still become final. */
const FROM_COHORT: readonly RoundState[] = ['cohort', 'scored', 'aggregated'];
const FROM_SCORED: readonly RoundState[] = ['scored', 'aggregated'];
const FROM_AGGREGATED: readonly RoundState[] = ['aggregated', 'finalised'];
/** Files verified at a time before holdings are signed. */
const VERIFY_AT_A_TIME = 4;

/** An attempt as the ledger shows it, with what is kept of it here. */
interface OpenedAttempt {
  readonly round: SecureRoundRecord;
  readonly task: SecureTask;
  readonly folder: AttemptFolder;
  readonly secrets: AttemptSecrets;
  readonly work: Omit<CohortWork, 'members'>;
}

/** What an aggregator says and opens of a closed round, each only once its own ledger shows that it is time. */
export class Disclosure {
  readonly #parts: AggregatorParts;
  readonly #intake: Intake;
  /** Work under way, so that the same asked twice is computed once. */
  readonly #running = new Map<string, Promise<unknown>>();
  /** The sums that were computed last: they are published a moment later. */
  #lastSums: { readonly key: string; readonly sums: ByComponent<readonly Uint8Array[]> } | undefined;

  /** Since when attempts have had their cohort, on this program's clock. */
  readonly #seen = new FirstSeen(() => performance.now());

  constructor(parts: AggregatorParts, intake: Intake) {
    this.#parts = parts;
    this.#intake = intake;
  }

  /** See {@link AggregatorClient.holdings}. */
  holdings(ref: AttemptRef): Promise<SignedHoldings> {
    return this.#once('holdings', ref, async () => {
      const { book, inbox } = this.#parts;
      const folder = inbox.attempt(ref);
      await readSecrets(folder);
      const signed =
        (await book.signedBefore<HoldingsStatement>(folder, 'sev/holdings/v1')) ?? (await this.#signHoldings(ref));
      return { mspId: book.mspId, held: signed.statement.held, signature: signed.signature };
    });
  }

  /** See {@link AggregatorClient.reveal}. */
  async reveal(ref: AttemptRef, nonces?: Nonces): Promise<Revealed> {
    const { mspId } = this.#parts;
    const { round, folder, secrets, work } = await this.#attempt(ref, FROM_COHORT);
    this.see(ref);
    const { held, heldNoise } = await readOpening(folder, round.secure.openingHash);
    const own = Object.fromEntries(secrets.nonce.map((value, component) => [String(component), value]));
    const revealed = { nonces: { ...held, [mspId]: own } };
    if (nonces === undefined || secrets.noise === undefined) {
      return revealed;
    }
    insistOnNonces(work.place, round.secure.opening, nonces);
    return { ...revealed, ...openedNoise(mspId, secrets.noise, heldNoise ?? {}, seedOf(round, work, nonces)) };
  }

  /** See {@link AggregatorClient.projections}. */
  projections(ref: AttemptRef, nonces: Nonces, references?: readonly string[]): Promise<OpenedProjections> {
    return this.#once(`projections/${hashOf({ nonces, references: references ?? null })}`, ref, async () => {
      const { view, book, store } = this.#parts;
      const fetch = (hash: string): Promise<Uint8Array> => store.get(hash);
      const { round, task, folder, work } = await this.#attempt(ref, FROM_COHORT);
      if (task.terms.projections === 0) {
        throw new SevError('PROJECTIONS_NONE', `task ${ref.taskId} opens no projections`, { exitCode: EXIT.refused });
      }
      insistOnNonces(work.place, round.secure.opening, nonces);
      const inStateMs = this.#seen.inStateMs(ref, 'cohort');
      const seen = { inStateMs, length: task.task.model.parameters, fetch };
      const reference = await namedReference(task.terms, round.secure, references, seen);
      const seed = seedOf(round, work, nonces);
      const cohort = { ...work, members: await view.cohort(round) };
      const numbers = await projectCohort(cohort, seed, reference?.direction);
      const components = Object.fromEntries([...numbers].map(([component, bytes]) => [component, sha256Hex(bytes)]));
      const along = references === undefined ? {} : { references };
      const content = { cohortHash: round.secure.cohortHash ?? '', seed, ...along, components };
      const signed = await signProjections(book, folder, content);
      return {
        signed: { mspId: book.mspId, components, signature: signed.signature },
        seed,
        numbers: textsOf(numbers),
      };
    });
  }

  /** See {@link AggregatorClient.pastNumbers}. */
  pastNumbers(ref: AttemptRef): Promise<OpenedNumbers> {
    return this.#once('past-numbers', ref, async () => {
      const { view, store } = this.#parts;
      const fetch = (hash: string): Promise<Uint8Array> => store.get(hash);
      const { round, task, work } = await this.#attempt(ref, ['finalised']);
      const members = await view.cohort(round);
      const { references } = round.secure;
      const reference = await directionIfAny(round.secure, references, task.task.model.parameters, fetch);
      const numbers = await projectCohort({ ...work, members }, round.secure.seed ?? '', reference);
      const { projections: opened = [] } = round.secure;
      const other = [...numbers].find(([component, bytes]) => sha256Hex(bytes) !== opened[component]);
      if (other !== undefined) {
        const detail = `${attemptKey(ref)}: the ledger shows other numbers of component ${String(other[0])}`;
        throw new SevError('NUMBERS_MISMATCH', detail, { exitCode: EXIT.integrity });
      }
      return textsOf(numbers);
    });
  }

  /** Takes note of when an attempt's cohort was fixed. */
  see(ref: AttemptRef): void {
    this.#seen.inStateMs(ref, 'cohort');
  }

  /** See {@link AggregatorClient.sums}. */
  sums(ref: AttemptRef): Promise<SignedSums> {
    return this.#once('sums', ref, async () => {
      const { book } = this.#parts;
      const attempt = await this.#attempt(ref, FROM_SCORED);
      const components = hashesOf(await this.#sumsOf(attempt));
      const content = { scoresHash: attempt.round.secure.scoresHash ?? '', components };
      const signed = await book.signOnce<SumsStatement>(attempt.folder, 'sev/component-sums/v1', content);
      insistOnSame(ref, signed.statement, content);
      return { mspId: book.mspId, components, signature: signed.signature };
    });
  }

  /** See {@link AggregatorClient.publish}. */
  publish(ref: AttemptRef): Promise<SignedSums['components']> {
    return this.#once('publish', ref, async () => {
      const { store, log } = this.#parts;
      const attempt = await this.#attempt(ref, FROM_AGGREGATED);
      const sums = await this.#sumsOf(attempt);
      const components = hashesOf(sums);
      const { sums: shown = [] } = attempt.round.secure;
      const others = Object.entries(components).filter(
        ([component, hashes]) => canonicalJson(shown[Number(component)] ?? null) !== canonicalJson(hashes),
      );
      if (others.length > 0) {
        const which = others.map(([component]) => component).join(', ');
        throw new SevError('SUMS_MISMATCH', `the ledger shows other sums of component ${which}`, {
          hint: 'Nothing was published; a dispute settles whose are right.',
          exitCode: EXIT.integrity,
        });
      }
      for (const byShard of sums.values()) {
        await Promise.all(byShard.map((bytes) => store.put(bytes)));
      }
      log.info({ ...attemptOf(ref) }, 'published component sums');
      return components;
    });
  }

  /** See {@link AggregatorClient.release}. */
  release(ref: AttemptRef, component: number): Promise<Release> {
    return this.#once(`release/${String(component)}`, ref, async () => {
      const { view, store, mspId, log } = this.#parts;
      const { round, work } = await this.#attempt(ref, FROM_COHORT);
      const members = await view.cohort(round);
      const release = await releaseComponent({ ...work, members }, round, { component, mspId, store });
      log.warn({ ...attemptOf(ref), component }, 'released a disputed component to the arbiter');
      return release;
    });
  }

  async #signHoldings(ref: AttemptRef) {
    const { view, book } = this.#parts;
    const { round, folder, work } = await this.#attempt(ref, ['closed']);
    await readOpening(folder, round.secure.openingHash);
    await this.#intake.close(ref);
    try {
      const updates = await view.updates(ref);
      const held = await mapConcurrently(updates, VERIFY_AT_A_TIME, async ({ vehicleId, updateHash }) => {
        const report = await work.reports.findIntact(vehicleId, { fromDisk: true });
        return report?.share.root === updateHash;
      });
      const content = { recordedHash: cohortHash(updates), held: encodeBitmap(held) };
      return await book.signOnce<HoldingsStatement>(folder, 'sev/holdings/v1', content);
    } catch (error) {
      this.#intake.reopen(ref);
      throw error;
    }
  }

  /** @throws SevError ROUND_STALE, ROUND_STATE, ATTEMPT_UNKNOWN. */
  async #attempt(ref: AttemptRef, states: readonly RoundState[]): Promise<OpenedAttempt> {
    const { view, inbox } = this.#parts;
    const folder = inbox.attempt(ref);
    const secrets = await readSecrets(folder);
    const round = await view.attempt(ref, states);
    const task = await view.task(ref.taskId);
    const { baseModelHash } = secrets;
    if (baseModelHash !== round.baseModelHash) {
      throw new SevError('ROUND_CONFLICT', `${attemptKey(ref)} was prepared here from another base model`);
    }
    const place = { ...attemptOf(ref), consortium: await view.network(), baseModelHash };
    return { round, task, folder, secrets, work: { task, place, reports: new HeldReports(folder, secrets) } };
  }

  /** The sums with exactly the ledger's cohort and weights. */
  async #sumsOf({ round, task, work }: OpenedAttempt): Promise<ByComponent<readonly Uint8Array[]>> {
    const { view } = this.#parts;
    const key = `${attemptKey(round)}/${round.secure.scoresHash ?? ''}`;
    if (this.#lastSums?.key !== key) {
      const members = await view.cohort(round);
      const scores = await view.scores(round, task.task, members);
      this.#lastSums = { key, sums: await sumCohort({ ...work, members }, round, scores) };
    }
    return this.#lastSums.sums;
  }

  #once<T>(what: string, ref: AttemptRef, work: () => Promise<T>): Promise<T> {
    const key = `${what}/${attemptKey(ref)}`;
    const running = this.#running.get(key) as Promise<T> | undefined;
    if (running !== undefined) {
      return running;
    }
    const started = work().finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }
}

function seedOf(round: SecureRoundRecord, { place }: Omit<CohortWork, 'members'>, nonces: Nonces): string {
  return roundSeed({ ...attemptOf(round), consortium: place.consortium }, round.secure.cohortHash ?? '', nonces);
}

/** Base64 by component. */
function textsOf(numbers: ByComponent<Uint8Array>): OpenedNumbers {
  return Object.fromEntries(
    [...numbers].map(([component, bytes]) => [component, Buffer.from(bytes).toString('base64')]),
  );
}

function hashesOf(sums: ByComponent<readonly Uint8Array[]>): Record<string, string[]> {
  return Object.fromEntries([...sums].map(([component, byShard]) => [component, byShard.map((b) => sha256Hex(b))]));
}
