// SPDX-License-Identifier: Apache-2.0
import { roundSeed, type RoundOpening, type SecureRound } from '@sev/chaincode/api';
import type { AggregatorClient, Nonces, OpenedProjections, Revealed } from '../aggregator/aggregator-client.js';
import { SevError } from '../errors.js';
import type { AttemptRef } from '../services/attempt.js';
import { errorCode, failureFields, type ServiceLog } from '../services/log.js';
import { numbersHash } from '../services/secure-scores.js';

/** What one aggregator answered, or why it did not. */
interface Answer<T> {
  readonly client: AggregatorClient;
  readonly value?: T;
  readonly code?: string;
}

/** Codes of an aggregator whose own gateway does not show yet what this coordinator's does. */
const BEHIND: ReadonlySet<string> = new Set(['ROUND_STATE', 'ROUND_STALE']);

/** Asks aggregators side by side; one that fails is logged and left out. */
export class AggregatorPanel {
  readonly clients: readonly AggregatorClient[];
  readonly #log: ServiceLog;

  constructor(clients: readonly AggregatorClient[], log: ServiceLog) {
    this.clients = clients;
    this.#log = log;
  }

  of(opening: RoundOpening): AggregatorPanel {
    const named = new Set(opening.aggregators.map(({ mspId }) => mspId));
    return new AggregatorPanel(
      this.clients.filter(({ mspId }) => named.has(mspId)),
      this.#log,
    );
  }

  /**
   * Asks each client once.
   *
   * @param needed answers without which the step cannot be taken.
   * @throws SevError ROUND_STALE where aggregators only lag behind the ledger, AGGREGATORS_MISSING.
   */
  async ask<T>(what: string, needed: number, question: (client: AggregatorClient) => Promise<T>): Promise<T[]> {
    const answers = await Promise.all(this.clients.map((client) => this.#one(what, client, question)));
    const values = answers.flatMap(({ value }) => (value === undefined ? [] : [value]));
    const isBehind = answers.some(({ code }) => code !== undefined && BEHIND.has(code));
    if (isBehind) {
      // In a moment it is there; waiting for it costs less than doing without it.
      throw new SevError('AGGREGATOR_BEHIND', `${what}: an aggregator's gateway lags behind`);
    }
    if (values.length < needed) {
      const names = answers.filter(({ value }) => value === undefined).map(({ client }) => client.mspId);
      throw new SevError('AGGREGATORS_MISSING', `${what}: ${String(needed)} are needed; without ${names.join(', ')}`);
    }
    return values;
  }

  async #one<T>(
    what: string,
    client: AggregatorClient,
    question: (client: AggregatorClient) => Promise<T>,
  ): Promise<Answer<T>> {
    try {
      return { client, value: await question(client) };
    } catch (error) {
      const code = errorCode(error) ?? 'FAILED';
      if (!BEHIND.has(code)) {
        this.#log.warn({ aggregator: client.mspId, ...failureFields(error) }, `${what}: an aggregator is left out`);
      }
      return { client, code };
    }
  }
}

/**
 * All nonces of an opening from what aggregators show of their own and of others'.
 *
 * @throws SevError AGGREGATORS_MISSING where a component was shown by nobody.
 */
export function noncesOf({ aggregators }: RoundOpening, shown: readonly Revealed[]): Nonces {
  return aggregators.map(({ mspId, nonceLeaves }) =>
    nonceLeaves.map((_, component) => {
      const value = shown.map(({ nonces }) => nonces[mspId]?.[String(component)]).find((found) => found !== undefined);
      if (value === undefined) {
        throw new SevError(
          'AGGREGATORS_MISSING',
          `nobody shows component ${String(component)} of the nonce of ${mspId}`,
        );
      }
      return value;
    }),
  );
}

export function seedOf(consortium: string, ref: AttemptRef, secure: SecureRound, nonces: Nonces): string {
  return roundSeed({ consortium, ...ref }, secure.cohortHash ?? '', nonces);
}

/** Two aggregators that signed different hashes of one component. */
export interface Contradiction {
  readonly component: number;
  readonly mspIds: readonly [string, string];
}

/** The first component about which two statements differ. */
export function contradictionIn(
  statements: readonly { readonly mspId: string; readonly components: Readonly<Record<string, unknown>> }[],
): Contradiction | undefined {
  const first = new Map<string, { mspId: string; said: string }>();
  for (const { mspId, components } of statements) {
    for (const [component, value] of Object.entries(components)) {
      const said = JSON.stringify(value);
      const before = first.get(component);
      if (before !== undefined && before.said !== said) {
        return { component: Number(component), mspIds: [before.mspId, mspId] };
      }
      first.set(component, before ?? { mspId, said });
    }
  }
  return undefined;
}

/** One copy of each component's numbers, each fitting the hash that its aggregator signed. */
export function numbersOf(opened: readonly OpenedProjections[]): Record<string, string> {
  const numbers: Record<string, string> = {};
  for (const { signed, numbers: own } of opened) {
    for (const [component, text] of Object.entries(own)) {
      if (numbersHash(text) !== signed.components[component]) {
        throw new SevError('PROJECTIONS_INVALID', `${signed.mspId} signed other numbers for component ${component}`);
      }
      numbers[component] ??= text;
    }
  }
  return numbers;
}
