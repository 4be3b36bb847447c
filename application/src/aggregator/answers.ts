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
export const incidentDisclosure = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('projections'), seed: hash, numbers: z.record(component, z.base64()) }),
  z.strictObject({
    kind: z.literal('vectors'),
    leaves: z.array(hash).min(3).max(64),
    components: z.array(z.strictObject({ component: z.int().min(0).max(63), salt: hash, content: z.base64() })).max(64),
  }),
]);
