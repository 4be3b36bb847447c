// SPDX-License-Identifier: Apache-2.0
import {
  aggregatorOpening,
  commitSums,
  fixCohort,
  hash,
  mspId as mspIdText,
  scoreRound,
  signature,
} from '@sev/chaincode/api';
import { z } from 'zod';

/** Forms of what an aggregator answers; see `AggregatorClient`. */

const component = z.string().regex(/^\d{1,2}$/);
export const preparedPart = z.strictObject({ part: aggregatorOpening, signature });
export const deals = z.array(z.strictObject({ from: mspIdText, to: mspIdText, sealed: z.base64() }));
export const holdings = fixCohort.shape.holdings.element;
const byComponent = z.record(component, hash);
const byHolder = z.record(mspIdText, byComponent);
export const revealed = z
  .strictObject({ nonces: byHolder, noiseSeedParts: byHolder.optional() })
  .transform(({ nonces, noiseSeedParts }) => ({
    nonces,
    ...(noiseSeedParts === undefined ? {} : { noiseSeedParts }),
  }));
export const numbers = z.record(component, z.base64());
export const projections = z.strictObject({
  signed: scoreRound.shape.projections.element,
  seed: hash,
  numbers,
});
export const sums = commitSums.shape.sums.element;
export const release = z.strictObject({ component: z.int(), objects: z.array(hash) });
