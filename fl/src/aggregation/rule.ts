// SPDX-License-Identifier: Apache-2.0

/** What one client hands in. */
export interface WeightedUpdate {
  /** The client's full parameters after local training, length d. */
  readonly parameters: Float32Array;
  /** Public integer weight, from 1 on. */
  readonly weight: number;
}

/** How the updates of a cohort become the next model. One rule a file. */
export interface AggregationRule {
  readonly name: string;
  /**
   * @param base parameters that the round started from, length d.
   * @param updates in an order that all parties agree on (by vehicle id), so that all get the same bits.
   * @returns new parameters, length d.
   * @throws ModelError AGGREGATION_EMPTY, AGGREGATION_WEIGHT, MODEL_LENGTH, MODEL_NOT_FINITE.
   */
  aggregate(base: Float32Array, updates: readonly WeightedUpdate[]): Float32Array;
}
