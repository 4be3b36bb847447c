// SPDX-License-Identifier: Apache-2.0
/** Attempts at a second identity for one physical car, against the contracts in memory or on a network. */
export { itemOf, type Attempt, type SybilKind } from './attempt';
export { SYBIL_KINDS, runCampaign, type CampaignResult, type KindResult } from './campaign';
export {
  refusalsOf,
  type AttestedCar,
  type Car,
  type CertifiedVehicle,
  type LedgerPort,
  type Submit,
  type SybilGround,
  type Wanted,
} from './ground';
export { inMemoryPort } from './in-memory';
export { ROOMY, prepareGround } from './prepare';
export { SeededChoice } from './seeded';
export { spendMakerSecret, type SpentSecret } from './spent-secret';
