// SPDX-License-Identifier: Apache-2.0
import { SecureError } from '../../secure/errors.js';
import type { FixedPoint } from '../../secure/fixed-point.js';

/** Why a vehicle counts less than its class. */
export const WEIGHT_REASONS = {
  RANGE_EXCEEDED: 'A projection that no vector within twice the clip can have; weight 0.',
  NORM_SCALED: 'Its norm is estimated above what is accepted; its weight is smaller, often 0 since few have the same.',
  NORM_EXCEEDED: 'Its norm is so far above that no whole weight is left; weight 0.',
  DIRECTION_OPPOSED: 'Its update does not point to the side of the reference direction; weight 0.',
  TRUST_LOW:
    'It is suspected, or agrees with the reference less than most; its weight is smaller, often 0 since few have the same.',
  SIMILAR:
    'Its updates are nearly those of other vehicles, round after round; they share one weight, often 0 since few have the same.',
  OUTVOTED: 'Its update lies apart from those of most others; weight 0.',
  DISTRUSTED: 'Too few are left by the rule, and lengths alone are bounded; too suspected to count even so; weight 0.',
} as const;
export type WeightReason = keyof typeof WEIGHT_REASONS;

/** What the validators' reference direction r says of a cohort. */
export interface Reference {
  /** ⟨u, r⟩ of each vehicle in units of 2^−f, opened exactly. */
  readonly products: Int32Array;
  /** ‖r‖ of the integer vector; see `quantiseDirection`. */
  readonly norm: number;
}

/** For each vehicle its K projections in one round, undefined where it took no part. */
export type RoundProjections = readonly (Int32Array | undefined)[];

/** What a rule decides from, vehicles in the order of the cohort. */
export interface WeightInput {
  /** a: the public weight of each vehicle's class. */
  readonly classWeights: readonly number[];
  /** For each vehicle its K opened projections ⟨u, v_k⟩ in units of 2^−f. */
  readonly projections: readonly Int32Array[];
  readonly format: FixedPoint;
  /** ‖v_k‖, K of them. */
  readonly vectorNorms: readonly number[];
  /** Needed by the rules that trust it. */
  readonly reference?: Reference;
  /** Earlier finalised rounds of the task, oldest first; a bounded window. Not given is none. */
  readonly past?: readonly RoundProjections[];
  /** What earlier rounds left on each vehicle; see `addSuspicion`. Not given is nothing. */
  readonly standing?: readonly { readonly suspicionMilli: number }[];
  /** The task's threshold of quarantine; not given is that of a fleet of twenty. */
  readonly quarantineMilli?: number;
}

/** For each vehicle, in the same order. */
export interface Weights<Reason extends WeightReason = WeightReason> {
  readonly weights: number[];
  readonly reasons: (Reason | undefined)[];
}

/** Of one vehicle. */
export interface Ruled<Reason extends WeightReason = WeightReason> {
  readonly weight: number;
  readonly reason: Reason | undefined;
}

/**
 * How the projections of a cohort become public integer weights. Deterministic (only operations that IEEE 754 rounds
 * correctly), because every attester recomputes it. One rule a file.
 *
 * @typeParam Reason what the rule may give as a reason.
 */
export interface WeightRule<Reason extends WeightReason = WeightReason> {
  readonly name: string;
  /** Whether it needs `WeightInput.reference`. */
  readonly needsReference: boolean;
  /**
   * @returns weights from 0 to the class's.
   * @throws SecureError SECURE_OPTION_INVALID where the shapes do not fit, or something that the rule needs is not there.
   */
  weigh(input: WeightInput): Weights<Reason>;
}

/**
 * Whether some |⟨u, v_k⟩| > 2^f · 2C · ‖v_k‖. By Cauchy-Schwarz no vector of norm up to 2C has such a projection; a vector
 * that wraps the ring has one with probability about ½ for every k.
 */
export function exceedsRange(
  projections: Int32Array,
  { format, vectorNorms }: Pick<WeightInput, 'format' | 'vectorNorms'>,
): boolean {
  const range = 2 * format.clip * 2 ** format.fractionBits;
  return projections.some((value, k) => Math.abs(value) > range * (vectorNorms[k] as number));
}

/** The weights of vehicles that are judged one by one. */
export function weightsOf<Reason extends WeightReason>(ruled: readonly Ruled<Reason>[]): Weights<Reason> {
  return { weights: ruled.map(({ weight }) => weight), reasons: ruled.map(({ reason }) => reason) };
}

/** @throws SecureError SECURE_OPTION_INVALID */
export function checkShapes({
  classWeights,
  projections,
  vectorNorms,
  reference,
  past = [],
  standing,
}: WeightInput): void {
  const count = classWeights.length;
  const hasK = (values: Int32Array | undefined): boolean => values?.length === vectorNorms.length;
  if (projections.length !== count || !projections.every(hasK)) {
    throw invalid(`${String(count)} vehicles need as many rows of ${String(vectorNorms.length)} projections`);
  }
  if (reference !== undefined && (reference.products.length !== count || !(reference.norm > 0))) {
    throw invalid(`${String(count)} vehicles need as many products with a reference direction that is not zero`);
  }
  if (standing !== undefined && standing.length !== count) {
    throw invalid(`${String(count)} vehicles need as many standings`);
  }
  if (past.some((round) => round.length !== count || !round.every((values) => values === undefined || hasK(values)))) {
    throw invalid(`an earlier round needs an entry for each of ${String(count)} vehicles, of as many projections`);
  }
}

/** @throws SecureError SECURE_OPTION_INVALID where no projections were opened. */
export function needProjections(rule: string, { vectorNorms }: WeightInput): void {
  if (vectorNorms.length === 0) {
    throw invalid(`${rule} needs projections: open at least one a vehicle`);
  }
}

/** @throws SecureError SECURE_OPTION_INVALID where there is no reference direction. */
export function needReference(rule: string, { reference }: WeightInput): Reference {
  if (reference === undefined) {
    throw invalid(`${rule} needs a reference direction`);
  }
  return reference;
}

function invalid(detail: string): SecureError {
  return new SecureError('SECURE_OPTION_INVALID', detail);
}
