// SPDX-License-Identifier: Apache-2.0
/** The contracts on a ledger in memory, for the tests of other packages. Not part of what is installed on peers. */
export { CITY, GRID, MAKER, REGULATOR, START_MS, TestConsortium, newTxId, type Simulated } from './consortium';
export { WINDOW, enroll, enrolledFleet, enrollmentOf, envelopeOf, newVehicle, type Vehicle } from './fleet';
export { identity, randomVehicleId, signingKey, type Identity, type SigningKey } from './identities';
export * from './sybil';
export { CANDIDATE, FINDINGS, IncidentDriver } from './incidents';
export { INITIAL_MODEL, taskOf } from './learning';
export { QUARANTINE_MILLI, roundRef, validatedTask, VALIDATION, type Judgement } from './validated-learning';
