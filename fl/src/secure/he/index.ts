// SPDX-License-Identifier: Apache-2.0

/**
 * Sums under homomorphic encryption (BFV: Fan and Vercauteren 2012, by Microsoft SEAL), for small vectors such as meter
 * totals and scores, and as an alternative for models. Three parties that the vehicles do not want to trust one by one:
 *
 * | party | holds | sees | learns alone |
 * | --- | --- | --- | --- |
 * | vehicle | its values, its mask seed | public key | nothing of others |
 * | {@link HeKeyHolder} | secret key of one round, in memory only | public: the sum's ciphertexts; decrypts sum + masks | size of the cohort |
 * | {@link HeSummer} | no key | each vehicle's ciphertexts | nothing: BFV hides them |
 * | {@link HeMaskHolder} | sealing key, each vehicle's mask seed | headers, seeds | nothing: seeds are independent of the values |
 * | whoever gets both openings | | sum + masks, sum of masks | the sum, which is the result |
 *
 * | together | learn of a single vehicle |
 * | --- | --- |
 * | key holder and summer (or a reader of the store) | its values plus a mask that is uniform modulo t to them: nothing |
 * | summer and mask holder | ciphertexts and masks, but no key: nothing |
 * | key holder and mask holder, without any vehicle's ciphertexts | the sum: nothing beyond the result |
 * | all three | everything: stated |
 * | one of them with all vehicles of the cohort but one | that one's values, as from any sum: hence the minimum cohort |
 *
 * Masks and keys are for one round. Key holder and mask holder open their part once, of one cohort: two sums that differ in
 * one vehicle are never both open. A vehicle that is missing at any step is not in the cohort; its ciphertext and mask enter
 * nowhere. Without key holder or mask holder the round aborts ({@link openHeSum}), and what the other has shown is noise.
 *
 * What is not claimed: a vehicle that lies about its values or its mask spoils the sum and is not named; nor is a party that
 * sends a false sum with a fitting checksum. Norms are not bounded. Ciphertexts are checked by hash against what the
 * vehicle signed, seeds against their commitment, the sum by its checksum: accidents are found, forgery is not.
 *
 * @packageDocumentation
 */
export * from './errors.js';
export { HeKeyHolder } from './key-holder.js';
export * from './mask-holder.js';
export * from './open.js';
export { checkHeRange, ciphertextsFor, HE_PARAMETERS, type HeParameters, type HeRange } from './parameters.js';
export { createHeReport, heReportRoot, type HeReport, type HeReportHeader, type HeTerms } from './report.js';
export { HeRuntime } from './runtime.js';
export type { Slots } from './slots.js';
export * from './summer.js';
export * from './wire.js';
