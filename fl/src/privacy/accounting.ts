// SPDX-License-Identifier: Apache-2.0
import { PrivacyError } from './errors.js';

/**
 * Zero-concentrated differential privacy (Bun and Steinke 2016). A vector of sensitivity Δ (Euclidean) released with
 * discrete Gaussian noise of parameter σ in every coordinate satisfies ρ-zCDP with ρ = Δ²/2σ² (Canonne, Kamath, Steinke
 * 2020, theorem 14), and ρ of several releases add up. No amplification by sampling is claimed: every vehicle of a
 * cohort takes part with certainty (q = 1).
 */

/**
 * ρ of one release.
 *
 * @param sensitivity Δ, in the unit of the deviation.
 * @throws PrivacyError PRIVACY_PARAMETER
 */
export function rhoOf(sensitivity: number, deviation: number): number {
  if (!(sensitivity >= 0 && deviation > 0 && Number.isFinite(sensitivity) && Number.isFinite(deviation))) {
    throw new PrivacyError('PRIVACY_PARAMETER', 'the sensitivity must be at least 0 and the deviation above 0');
  }
  return (sensitivity / deviation) ** 2 / 2;
}

/**
 * The smallest ε that ρ-zCDP is known to give at δ through Rényi divergences (Canonne, Kamath, Steinke 2020, corollary 13):
 *
 *   ε = min over α > 1 of ρα + ln(1/(αδ))/(α − 1) + ln(1 − 1/α).
 *
 * The derivative ρ − ln(1/(αδ))/(α − 1)² has one zero, found by bisection. Every α gives a valid ε, so an error of the
 * search only makes the result larger than need be.
 *
 * @param rho at least 0.
 * @param delta in (0, 1).
 * @throws PrivacyError PRIVACY_PARAMETER
 */
export function epsilonOf(rho: number, delta: number): number {
  checkAccount(rho, delta);
  if (rho === 0) {
    return 0;
  }
  const logDelta = Math.log(delta);
  // In u = α − 1, on a logarithmic scale: u runs over many orders of magnitude.
  let low = -80;
  let high = 400;
  for (let step = 0; step < 200; step++) {
    const middle = (low + high) / 2;
    const u = Math.exp(middle);
    if (rho * u * u + Math.log1p(u) + logDelta < 0) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const u = Math.exp(high);
  const epsilon = rho * (1 + u) - (Math.log1p(u) + logDelta) / u - Math.log1p(1 / u);
  return Math.max(0, epsilon);
}

/**
 * The largest ρ whose {@link epsilonOf} at δ is within ε: what all releases together may cost. Bisection, because ε grows
 * with ρ; the lower end is taken.
 *
 * @param epsilon at least 0.
 * @param delta in (0, 1).
 * @throws PrivacyError PRIVACY_PARAMETER
 */
export function rhoWithin(epsilon: number, delta: number): number {
  let [low, high] = [0, epsilon];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (epsilonOf(middle, delta) <= epsilon) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/**
 * The well-known simpler and looser bound ε = ρ + 2·√(ρ·ln(1/δ)) (Bun and Steinke 2016, proposition 1.3).
 *
 * @throws PrivacyError PRIVACY_PARAMETER
 */
export function simpleEpsilonOf(rho: number, delta: number): number {
  checkAccount(rho, delta);
  return rho + 2 * Math.sqrt(-rho * Math.log(delta));
}

function checkAccount(rho: number, delta: number): void {
  if (!(rho >= 0 && Number.isFinite(rho))) {
    throw new PrivacyError('PRIVACY_PARAMETER', 'ρ must be a finite number from 0 on');
  }
  if (!(delta > 0 && delta < 1)) {
    throw new PrivacyError('PRIVACY_PARAMETER', 'δ must lie between 0 and 1');
  }
}
