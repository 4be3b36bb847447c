// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { componentsOf } from '@sev/chaincode/api';
import {
  addTo,
  componentsHeldBy,
  componentValues,
  encodeUpdate,
  project,
  projectionVectors,
  seededRandom,
  shareVector,
  toSigned,
  type FixedPoint,
  type Holders,
  type RingVector,
} from '@sev/fl';
import { addScaled, gramMatrix, solveRidge } from '../least-squares.js';

/** The defaults of a task in mode `secure`. */
export const DEFAULT_FORMAT: FixedPoint = { fractionBits: 11, clip: 4 };
export const DEFAULT_PROJECTIONS = 8;
const AGGREGATORS = 3;
const THRESHOLD = 1;

/** K vectors of a round, which everybody knows once its cohort is fixed. */
export function roundVectors(length: number, seed: number): readonly Int8Array[] {
  return projectionVectors(hexOf(seed, 'vectors'), DEFAULT_PROJECTIONS, length);
}

/** A vehicle's update as it is shared among three aggregators, and what they open of it. */
export interface SharedUpdate {
  readonly holders: Holders;
  /** In the order of the components; each of length d. */
  readonly components: readonly RingVector[];
  /** The update's projections on the round's vectors, in units of 2^−f. */
  readonly projections: Int32Array;
}

/** Clips, encodes, shares and projects as a vehicle and the aggregators do, with randomness from a seed. */
export function shareUpdate(update: Float32Array, vectors: readonly Int8Array[], seed: number): SharedUpdate {
  const holders = componentsOf(AGGREGATORS, THRESHOLD);
  const context = hexOf(seed, 'context');
  const encoded = encodeUpdate(update, DEFAULT_FORMAT, seededRandom(Buffer.from(hexOf(seed, 'rounding'), 'hex')));
  const { components } = shareVector(
    encoded,
    context,
    holders,
    seededRandom(Buffer.from(hexOf(seed, 'sharing'), 'hex')),
  );
  const values = components.map((one) => componentValues(one, holders.length, context, encoded.length));
  const opened = new Uint32Array(vectors.length);
  values.forEach((component) => {
    addTo(opened, project(component, vectors));
  });
  return { holders, components: values, projections: toSigned(opened) };
}

/** The sum of the components that a set of aggregators holds, read as an update: the update itself if they hold all. */
export function sumHeldBy({ holders, components }: SharedUpdate, aggregators: readonly number[]): Float64Array {
  const held = new Set(aggregators.flatMap((aggregator) => componentsHeldBy(aggregator, holders)));
  const sum = new Uint32Array(components[0]?.length ?? 0);
  components.forEach((component, index) => {
    if (held.has(index)) {
      addTo(sum, component);
    }
  });
  return Float64Array.from(toSigned(sum), (value) => value / 2 ** DEFAULT_FORMAT.fractionBits);
}

/** The shortest update that has the opened projections, the best linear estimate where all directions are alike. */
export function estimateFromProjections(projections: Int32Array, vectors: readonly Int8Array[]): Float64Array {
  const estimate = new Float64Array(vectors[0]?.length ?? 0);
  const factors = solveRidge(gramMatrix(vectors), 0, projections);
  vectors.forEach((vector, k) => {
    addScaled(estimate, (factors[k] ?? 0) / 2 ** DEFAULT_FORMAT.fractionBits, vector);
  });
  return estimate;
}

function hexOf(seed: number, purpose: string): string {
  return createHash('sha256')
    .update(JSON.stringify(['views', seed, purpose]))
    .digest('hex');
}
