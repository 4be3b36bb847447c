// SPDX-License-Identifier: Apache-2.0
import { nonceLeaf, type RoundOpening } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { attemptOf, type AttemptRef } from '../services/attempt.js';
import type { Nonces, Revealed } from './aggregator-client.js';

/** An attempt on a network, as nonces are committed to. */
export interface NoncePlace extends AttemptRef {
  readonly consortium: string;
}

/** Nonces as far as they were shown. */
export interface GatheredNonces {
  /** Present once every component of every aggregator of the opening is there. */
  readonly nonces?: Nonces;
  /** Aggregators of the opening whose nonce lacks a component. */
  readonly missing: readonly string[];
  /** Aggregators that showed a component that its commitment contradicts. */
  readonly wrong: readonly string[];
}

/** The commitments to the components of a nonce, in their order. */
export function nonceLeavesOf(place: NoncePlace, aggregator: string, nonce: readonly string[]): string[] {
  return nonce.map((value, component) => leafOf(place, aggregator, component, value));
}

/** True where the value is the committed component of that aggregator's nonce. */
export function isCommitted(
  place: NoncePlace,
  opening: RoundOpening,
  owner: string,
  component: number,
  value: string,
): boolean {
  const part = opening.aggregators.find(({ mspId }) => mspId === owner);
  return part !== undefined && part.nonceLeaves[component] === leafOf(place, owner, component, value);
}

/** @throws SevError NONCES_INVALID unless these are all the committed nonces of the opening, in its order. */
export function insistOnNonces(place: NoncePlace, opening: RoundOpening, nonces: Nonces): void {
  const fits = (part: RoundOpening['aggregators'][number], index: number): boolean => {
    const nonce = nonces[index] ?? [];
    return (
      nonce.length === part.nonceLeaves.length &&
      nonce.every((value, component) => isCommitted(place, opening, part.mspId, component, value))
    );
  };
  const wrong = opening.aggregators.filter((part, index) => !fits(part, index)).map(({ mspId }) => mspId);
  if (wrong.length > 0 || nonces.length !== opening.aggregators.length) {
    throw new SevError('NONCES_INVALID', `they are not the committed ones of ${wrong.join(', ')}`);
  }
}

/** Puts together what several aggregators showed, whoever showed it, dropping what the commitments contradict. */
export function gatherNonces(
  place: NoncePlace,
  opening: RoundOpening,
  shown: readonly { readonly mspId: string; readonly revealed: Pick<Revealed, 'nonces'> }[],
): GatheredNonces {
  const { values, ...others } = gatherParts(
    opening.aggregators.map(({ mspId, nonceLeaves }) => ({
      owner: mspId,
      leaves: nonceLeaves,
      leafOf: (component, value) => leafOf(place, mspId, component, value),
    })),
    shown.map(({ mspId, revealed }) => ({ mspId, parts: revealed.nonces })),
  );
  return values === undefined ? others : { nonces: values, ...others };
}

/** A secret that was committed to part by part, as nonces and seeds of noise are. */
interface CommittedSecret {
  readonly owner: string;
  readonly leaves: readonly string[];
  readonly leafOf: (component: number, value: string) => string;
}

/**
 * Puts secrets together from what several aggregators showed of them, by owner, then by component.
 *
 * @returns the parts of each secret, in their order, once all are there.
 */
export function gatherParts(
  secrets: readonly CommittedSecret[],
  shown: readonly { readonly mspId: string; readonly parts: Revealed['nonces'] }[],
): { readonly values?: string[][] } & Pick<GatheredNonces, 'missing' | 'wrong'> {
  const wrong = new Set<string>();
  const gathered = secrets.map(({ owner, leaves, leafOf: leaf }) =>
    leaves.map((committed, component) => {
      for (const { mspId, parts } of shown) {
        const value = parts[owner]?.[String(component)];
        if (value !== undefined && leaf(component, value) === committed) {
          return value;
        }
        if (value !== undefined) {
          wrong.add(mspId);
        }
      }
      return undefined;
    }),
  );
  const values = gathered.map((parts) => parts.flatMap((value) => (value === undefined ? [] : [value])));
  const missing = secrets.flatMap(({ owner, leaves }, i) => (values[i]?.length === leaves.length ? [] : [owner]));
  return { ...(missing.length === 0 ? { values } : {}), missing, wrong: [...wrong].sort() };
}

function leafOf(place: NoncePlace, aggregator: string, component: number, value: string): string {
  return nonceLeaf({ consortium: place.consortium, ...attemptOf(place) }, aggregator, component, value);
}
