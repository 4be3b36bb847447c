// SPDX-License-Identifier: Apache-2.0
import {
  cohortHash,
  signStatement,
  type HoldingsStatement,
  type SumsStatement,
  type UpdateRecord,
} from '@sev/chaincode/api';
import type { SignedHoldings, SignedSums } from '../../aggregator/aggregator-client.js';
import type { Scene } from '../../aggregator/testing/scene.js';

/** Holdings that an aggregator makes up, rightly signed. */
export function signHoldings(
  { federation, ref }: Scene,
  mspId: string,
  updates: readonly UpdateRecord[],
  held: string,
): SignedHoldings {
  const { consortium } = federation;
  const content = { recordedHash: cohortHash(updates), held };
  const statement: HoldingsStatement = { type: 'sev/holdings/v1', consortium, ...ref, mspId, ...content };
  return { mspId, held, signature: signStatement(statement, federation.organisationKey(mspId)) };
}

/** Sums that an aggregator makes up, rightly signed. */
export function signSums(
  { federation, ref, round }: Scene,
  mspId: string,
  components: SignedSums['components'],
): SignedSums {
  const { consortium } = federation;
  const { scoresHash = '' } = round.secure ?? {};
  const statement: SumsStatement = { type: 'sev/component-sums/v1', consortium, ...ref, mspId, scoresHash, components };
  return { mspId, components, signature: signStatement(statement, federation.organisationKey(mspId)) };
}
