// SPDX-License-Identifier: Apache-2.0
import { createECDH, createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { hashOf, publicKeyText, sha256Hex, type Bootstrap, type Change } from '../api';
import { CITY, GRID, MAKER, MSPS, REGULATOR, type TestConsortium } from './consortium';
import { enroll, enrollmentOf, envelopeOf, type Vehicle } from './fleet';
import type { SigningKey } from './identities';
import { INITIAL_MODEL, ROUND_1, RoundDriver, taskOf, type RoundRef } from './learning';

const MAJORITY = [GRID, CITY, REGULATOR];

/** The vehicles of the sample by what became of them. */
export const SAMPLE_VEHICLES = ['first', 'second', 'third', 'suspended', 'voted-out', 'revoked'] as const;
export type SampleVehicle = (typeof SAMPLE_VEHICLES)[number];

/** Round 2 of the sample's task is open, and the first vehicle's update is recorded in it. */
export const SAMPLE_OPEN_ROUND: RoundRef = { taskId: 'price-1', round: 2, attempt: 1 };
/** Of two organisations, one vote short of the majority. */
export const SAMPLE_OPEN_PROPOSAL = 'accredit-second-maker';

/** A P-256 key that depends on its name only, so that samples need no stored secrets: scalar = SHA-256(name). */
export function namedKey(name: string): SigningKey {
  const secret = createHash('sha256').update(`sample key of ${name}`).digest();
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(secret);
  const point = curve.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((bytes) => bytes.toString('base64url'));
  const jwk = { kty: 'EC', crv: 'P-256', d: secret.toString('base64url'), x: x ?? '', y: y ?? '' };
  const privateKey = createPrivateKey({ key: jwk, format: 'jwk' });
  return { privateKey, publicKey: publicKeyText(createPublicKey(privateKey)) };
}

export function sampleVehicle(name: SampleVehicle): Vehicle {
  const id = createHash('sha256').update(`sample vehicle ${name}`).digest('base64url').slice(0, 22);
  return { vehicleId: `v-${id}`, key: namedKey(`vehicle ${name}`), tag: sha256Hex(`sample tag ${name}`) };
}

/** Gives a consortium of tests the sample's keys. @returns what the sample was bootstrapped with. */
export function sampleConsortium(consortium: TestConsortium): Bootstrap {
  MSPS.forEach((mspId) => consortium.signingKeys.set(mspId, namedKey(mspId)));
  const content = consortium.bootstrapContent();
  return { ...content, makers: content.makers.map((maker) => ({ ...maker, publicKey: namedKey('maker').publicKey })) };
}

/**
 * Runs one of everything that the contracts have known since their first version: enrollments, statuses, proposals
 * executed and open, a round finalised, one aborted and one open. What it leaves on the ledger, kept as a fixture for
 * each version of the contracts, is what later versions are tested to go on from.
 */
export async function runSampleHistory(consortium: TestConsortium): Promise<void> {
  const content = sampleConsortium(consortium);
  await consortium.submit('governance:Bootstrap', content, GRID, 'operator');
  consortium.bootstrapHash = hashOf(content);
  await enrollSample(consortium);
  await decide(consortium, 'larger-quota', { kind: 'set-policy', policy: { ...content.policy, vehicleQuota: 2_000 } });
  const { vehicleId } = sampleVehicle('voted-out');
  await decide(consortium, 'vote-out', { kind: 'vehicle-status', vehicleId, status: 'suspended', reason: 'disputed' });
  const maker = { makerKeyId: 'maker-2', mspId: MAKER, publicKey: namedKey('second maker').publicKey };
  await propose(consortium, SAMPLE_OPEN_PROPOSAL, { kind: 'put-maker', maker }, [CITY]);
  await runSampleRounds(new RoundDriver(consortium));
}

async function enrollSample(consortium: TestConsortium): Promise<void> {
  const maker = { makerKeyId: 'maker-1', key: namedKey('maker') };
  const items = SAMPLE_VEHICLES.map((name, slot) => enrollmentOf(consortium, sampleVehicle(name), { slot, maker }));
  const { results } = await enroll(consortium, items);
  const refused = results.find(({ accepted }) => !accepted);
  if (refused !== undefined) {
    throw new Error(`${refused.code ?? ''}: ${refused.detail ?? ''}`);
  }
  for (const status of ['suspended', 'revoked'] as const) {
    const argument = { vehicleId: sampleVehicle(status).vehicleId, status, reason: 'sample' };
    await consortium.submit('registry:SetVehicleStatus', argument, MAKER, 'registrar');
  }
}

async function runSampleRounds(driver: RoundDriver): Promise<void> {
  const fleet = (['first', 'second', 'third'] as const).map(sampleVehicle);
  await driver.openFirst();
  await driver.record(fleet.map((vehicle) => envelopeOf(vehicle, driver.content(ROUND_1))));
  await driver.close(MAJORITY);
  const modelHash = sha256Hex('sample model of round 1');
  await driver.finalise({ ...(await driver.proposal()), modelHash }, MAJORITY);
  await driver.coordinate('OpenRound', { ...SAMPLE_OPEN_ROUND, baseModelHash: modelHash });
  await driver.record(driver.envelopes(fleet.slice(0, 1), SAMPLE_OPEN_ROUND, modelHash), SAMPLE_OPEN_ROUND, modelHash);
  const aborted = { ...ROUND_1, taskId: 'price-2' };
  await driver.coordinate('CreateTask', taskOf({ taskId: aborted.taskId }));
  await driver.coordinate('OpenRound', { ...aborted, baseModelHash: INITIAL_MODEL });
  const statements = driver.abortStatements(MAJORITY, 'COHORT_TOO_SMALL', aborted);
  await driver.coordinate('AbortRound', { ...aborted, reason: 'COHORT_TOO_SMALL', statements });
}

async function propose(
  consortium: TestConsortium,
  proposalId: string,
  change: Change,
  voters: readonly string[],
): Promise<void> {
  await consortium.submit('governance:Propose', { proposalId, change }, GRID, 'operator');
  for (const mspId of voters) {
    await consortium.submit('governance:Vote', { proposalId, approve: true }, mspId, 'operator');
  }
}

async function decide(consortium: TestConsortium, proposalId: string, change: Change): Promise<void> {
  await propose(consortium, proposalId, change, [CITY, MAKER]);
  await consortium.submit('governance:Execute', { proposalId }, GRID, 'operator');
}
