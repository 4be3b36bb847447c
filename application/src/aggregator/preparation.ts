// SPDX-License-Identifier: Apache-2.0
import {
  arbitersOf,
  canonicalJson,
  openingHash,
  partHash,
  type AggregatorOpening,
  type OpeningStatement,
  type PartStatement,
  type RoundOpening,
  type SignedBy,
} from '@sev/chaincode/api';
import { newSealingKey } from '@sev/fl';
import { SevError } from '../errors.js';
import { AccusationError } from '../services/accusation.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { errorCode } from '../services/log.js';
import { insistOnNext } from '../services/next-attempt.js';
import { isSigned } from '../services/signed-statements.js';
import { insistOnValidations } from '../validation/opening-validations.js';
import type { Deal, PreparedPart } from './aggregator-client.js';
import {
  newHex32,
  newStorageKey,
  readSecrets,
  secretsIfAny,
  type AcceptedOpening,
  type AttemptSecrets,
} from './attempt-secrets.js';
import { noiseName, noiseReporter } from './cohort-work.js';
import { dealFor, dealInvalid, openDeal, sealDeal, type DealContent, type DealPlace } from './deals.js';
import { HeldReports } from './held-reports.js';
import type { SecureTask } from './ledger-view.js';
import { areSeedParts, newNoise, type NewNoise } from './noise.js';
import { isCommitted, nonceLeavesOf } from './nonces.js';
import type { AggregatorParts } from './parts.js';

/** Accepted openings of one attempt that are kept, at the most: each takes room on the disk. */
const MAX_OPENINGS = 32;

/** How an aggregator takes part in opening a round: round key, nonce, and what others entrust to it. */
export class Preparation {
  readonly #parts: AggregatorParts;
  /** Under way, so that what takes long is done once. */
  readonly #preparing = new Map<string, Promise<PreparedPart>>();

  constructor(parts: AggregatorParts) {
    this.#parts = parts;
  }

  /** See {@link AggregatorClient.prepare}. */
  prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedPart> {
    const key = `${attemptKey(ref)}/${baseModelHash}`;
    const running = this.#preparing.get(key);
    if (running !== undefined) {
      return running;
    }
    const started = this.#prepare(ref, baseModelHash).finally(() => this.#preparing.delete(key));
    this.#preparing.set(key, started);
    return started;
  }

  async #prepare(ref: AttemptRef, baseModelHash: string): Promise<PreparedPart> {
    const { view, inbox, log } = this.#parts;
    const task = await view.task(ref.taskId);
    const before = await secretsIfAny(inbox.attempt(ref));
    if (before?.baseModelHash !== baseModelHash) {
      await insistOnNext(ref, baseModelHash, task.task, view.bases);
      if (before !== undefined) {
        // The model was corrected meanwhile, for good: nothing opens on the base before any more.
        await inbox.destroy(ref);
      }
      // Of two that make secrets at once, the first to be on disk counts.
      await inbox.attempt(ref).keepSecrets(await this.#newSecrets(ref, baseModelHash, task));
    }
    const { part, signature, baseModelHash: base } = await readSecrets(inbox.attempt(ref));
    if (base !== baseModelHash) {
      throw new SevError('ROUND_CONFLICT', `${attemptKey(ref)} was prepared from another base model`);
    }
    log.info({ ...attemptOf(ref) }, 'prepared');
    return { part, signature };
  }

  /** See {@link AggregatorClient.deal}. */
  async deal(ref: AttemptRef, parts: readonly PreparedPart[]): Promise<readonly Deal[]> {
    const { mspId } = this.#parts;
    const [task, secrets, place] = await this.#prepared(ref);
    const others = parts.filter(({ part }) => part.mspId !== mspId);
    await this.#insistOnSigned(place, task, others);
    return Promise.all(
      others.map(({ part }) => {
        return sealDeal(place, mspId, part, dealFor(task, secrets, part.mspId));
      }),
    );
  }

  /** See {@link AggregatorClient.accept}. */
  async accept(ref: AttemptRef, opening: RoundOpening, deals: readonly Deal[]): Promise<SignedBy> {
    const { mspId, view, inbox, book, log } = this.#parts;
    const [task, secrets, place] = await this.#prepared(ref);
    const hash = openingHash(opening);
    const folder = inbox.attempt(ref);
    const shown = await view.roundIfAny(ref);
    if (shown?.attempt === ref.attempt && shown.secure?.openingHash !== hash) {
      throw new SevError('ROUND_CONFLICT', `the ledger shows ${attemptKey(ref)} with another opening`);
    }
    if ((await folder.opening(hash)) === undefined) {
      const consortium = await view.consortium();
      insistOnOpening(opening, task, secrets.part, arbitersOf(task.terms, consortium.organisations));
      insistOnValidations(consortium, task.terms, place, opening.validations);
      const dealt = await this.#openDeals(opening, deals, task, secrets, place);
      if ((await folder.countOpenings()) >= MAX_OPENINGS) {
        // The ledger shows none of them: a caller that filled the room must not keep others from opening the round.
        await folder.dropOldestOpening();
      }
      await folder.keepOpening(hash, { opening, ...dealt });
    }
    const { baseModelHash } = secrets;
    const statement = { type: 'sev/round-opening/v1', baseModelHash, openingHash: hash } as const;
    const { signature } = await book.sign<OpeningStatement>(ref, statement);
    log.info({ ...attemptOf(ref), aggregators: opening.aggregators.length }, 'signed an opening');
    return { mspId, signature };
  }

  async #prepared(ref: AttemptRef): Promise<[SecureTask, AttemptSecrets, DealPlace]> {
    const { view, inbox } = this.#parts;
    const task = await view.task(ref.taskId);
    const secrets = await readSecrets(inbox.attempt(ref));
    const { baseModelHash } = secrets;
    return [task, secrets, { ...attemptOf(ref), consortium: await view.network(), baseModelHash }];
  }

  async #newSecrets(ref: AttemptRef, baseModelHash: string, task: SecureTask): Promise<AttemptSecrets> {
    const { mspId, view, book } = this.#parts;
    const { publicKey, privateKey } = await newSealingKey();
    const nonce = task.holders.map(newHex32);
    const place = { ...attemptOf(ref), consortium: await view.network(), baseModelHash };
    const noise = task.terms.dp === undefined ? undefined : await this.#newNoise(task, place);
    const part: AggregatorOpening = {
      mspId,
      sealingKey: publicKey,
      nonceLeaves: nonceLeavesOf(place, mspId, nonce),
      ...(noise === undefined ? {} : { noise: [noise[0].committed, noise[1].committed] }),
    };
    const statement = { type: 'sev/opening-part/v1', baseModelHash, partHash: partHash(part) } as const;
    const { signature } = await book.sign<PartStatement>(ref, statement);
    return {
      schemaVersion: 1,
      createdAtMs: Date.now(),
      baseModelHash,
      sealingKey: Buffer.from(privateKey).toString('base64'),
      storageKey: newStorageKey(),
      nonce,
      ...(noise === undefined ? {} : { noise: [noise[0].candidate, noise[1].candidate] }),
      part,
      signature,
    };
  }

  async #newNoise(task: SecureTask, place: DealPlace): Promise<[NewNoise, NewNoise]> {
    const { mspId, store } = this.#parts;
    const made = { task, place, store };
    return [await newNoise(made, mspId, 0), await newNoise(made, mspId, 1)];
  }

  /** A coordinator that put keys of its own into the parts would be dealt the nonce, and choose the cohort by it. */
  async #insistOnSigned(place: DealPlace, task: SecureTask, parts: readonly PreparedPart[]): Promise<void> {
    const members = await this.#parts.view.consortium();
    const { consortium, baseModelHash } = place;
    for (const { part, signature } of parts) {
      const { mspId } = part;
      const statement: PartStatement = {
        type: 'sev/opening-part/v1',
        ...{ consortium, ...attemptOf(place), mspId, baseModelHash, partHash: partHash(part) },
      };
      const isNamed = task.terms.aggregators.includes(mspId);
      if (!isNamed || !isSigned(members, { mspId, signature }, statement)) {
        throw new SevError('PART_INVALID', `the part of ${mspId} is not signed by that aggregator for this attempt`);
      }
    }
  }

  /** Checks what was dealt here against the opening, and keeps the noise that came with it. */
  async #openDeals(
    opening: RoundOpening,
    deals: readonly Deal[],
    task: SecureTask,
    secrets: AttemptSecrets,
    place: DealPlace,
  ): Promise<Pick<AcceptedOpening, 'held' | 'heldNoise'>> {
    const { mspId } = this.#parts;
    const privateKey = Buffer.from(secrets.sealingKey, 'base64');
    const held: Record<string, DealContent['nonce']> = {};
    const heldNoise: NonNullable<AcceptedOpening['heldNoise']> = {};
    for (const part of opening.aggregators) {
      if (part.mspId === mspId) {
        await this.#keepNoise(part, dealFor(task, secrets, mspId).noise, task, secrets, place);
        continue;
      }
      const deal = deals.find(({ from, to }) => from === part.mspId && to === mspId);
      if (deal === undefined) {
        throw new AccusationError('DEAL_MISSING', `${part.mspId} dealt nothing to ${mspId}`, part.mspId);
      }
      const { nonce, noise } = await openDeal(place, deal, privateKey);
      const isOwed = (component: string): boolean => task.own.includes(Number(component));
      const fits = ([component, value]: [string, string]): boolean =>
        isOwed(component) && isCommitted(place, opening, part.mspId, Number(component), value);
      const entries = Object.entries(nonce);
      if (entries.length !== task.own.length || !entries.every(fits)) {
        throw dealInvalid(part.mspId, 'its nonce components are not those that were committed to');
      }
      held[part.mspId] = nonce;
      await this.#keepNoise(part, noise, task, secrets, place);
      if (noise !== undefined) {
        heldNoise[part.mspId] = [noise[0].seedParts, noise[1].seedParts];
      }
    }
    return task.terms.dp === undefined ? { held } : { held, heldNoise };
  }

  /** Whoever signs an opening can add the noise of all its aggregators, and shows so by having checked both candidates. */
  async #keepNoise(
    opened: AggregatorOpening,
    dealt: DealContent['noise'],
    task: SecureTask,
    secrets: AttemptSecrets,
    place: DealPlace,
  ): Promise<void> {
    const { mspId, noise: committed } = opened;
    if ((committed === undefined) !== (dealt === undefined)) {
      throw dealInvalid(mspId, 'its noise is missing, or there should be none');
    }
    const { inbox, store } = this.#parts;
    const reports = new HeldReports(inbox.attempt(place), secrets);
    for (const which of [0, 1] as const) {
      const root = committed?.[which].root;
      const { share: bytes, seedParts } = dealt?.[which] ?? {};
      if (root === undefined || bytes === undefined || seedParts === undefined) {
        return;
      }
      if (!areSeedParts(place, opened, which, seedParts, task.own)) {
        throw dealInvalid(mspId, 'its parts of a seed of noise are not those that were committed to');
      }
      try {
        const reporter = noiseReporter(mspId, which);
        const share = await reports.read({ task, place, store }, reporter, root, Buffer.from(bytes, 'base64'));
        await reports.keep(noiseName(root), { share, receipt: '' });
      } catch (error) {
        throw isShareRefusal(error) ? dealInvalid(mspId, 'its noise is not what was committed to', error) : error;
      }
    }
  }
}

function isShareRefusal(error: unknown): boolean {
  return errorCode(error)?.startsWith('SHARE_') === true;
}

/**
 * @param arbiters organisations of which one has to be there to settle disputes, where there are any.
 * @throws SevError OPENING_INVALID.
 */
function insistOnOpening(
  { aggregators, arbiter }: RoundOpening,
  task: SecureTask,
  own: AggregatorOpening,
  arbiters: readonly string[],
): void {
  const { terms, holders } = task;
  const ids = aggregators.map(({ mspId }) => mspId);
  const mine = aggregators.find(({ mspId }) => mspId === own.mspId);
  const wrong = [
    ...(arbiter !== undefined || arbiters.length === 0 ? [] : [`it names no arbiter, as ${arbiters.join()} would be`]),
    ...(mine !== undefined && canonicalJson(mine) === canonicalJson(own) ? [] : ['its part of this one is another']),
    ...(ids.every((id, i) => terms.aggregators.includes(id) && id > (ids[i - 1] ?? '')) ? [] : ['its aggregators']),
    ...(ids.length > terms.threshold ? [] : [`it has ${String(ids.length)} aggregators`]),
    ...(aggregators.every(({ nonceLeaves }) => nonceLeaves.length === holders.length) ? [] : ['its nonces']),
    ...(aggregators.every(({ noise }) => (noise !== undefined) === (terms.dp !== undefined)) ? [] : ['its noise']),
  ];
  if (wrong.length > 0) {
    throw new SevError('OPENING_INVALID', `the opening is not one of this task: ${wrong.join(', ')}`);
  }
}
