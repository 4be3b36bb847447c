// SPDX-License-Identifier: Apache-2.0
import { signStatement, type Enrollment, type KeyRotationStatement, type Policy } from '../../api';
import { randomVehicleId, signingKey } from '../identities';
import { DOMAIN, submitItems, withFreeSlots } from './attempt';
import { refusalsOf, type Condition, type EnrolledCar, type LedgerPort, type SybilGround } from './ground';

/** Cars of each organisation by what has become of them. */
const FLEET: Readonly<Record<Condition, number>> = { active: 4, rotated: 2, recovered: 2, suspended: 2, revoked: 2 };

/**
 * Room for the whole campaign, so that what is refused is refused for what it is: attempts in the right slots must not
 * fail for their slots. Voted for, or bootstrapped with, before.
 */
export const ROOMY: Policy = { vehicleQuota: 20_000, enrollmentsPerWindow: 20_000, enrollmentWindowMs: 3_600_000 };

/** Enrols the honest fleet that attempts are made with and against. Slots below `firstSlot` may be in use. */
export async function prepareGround(port: LedgerPort, policy: Policy, firstSlot = 0): Promise<SybilGround> {
  let slot = firstSlot;
  const enrolled: EnrolledCar[] = [];
  const ground: SybilGround = {
    port,
    policy,
    enrolled,
    freeSlot: () => slot++,
    window: () => Math.floor(port.nowMs() / policy.enrollmentWindowMs),
  };
  for (const mspId of port.organisations) {
    for (const [condition, count] of Object.entries(FLEET) as [Condition, number][]) {
      for (let i = 0; i < count; i += 1) {
        enrolled.push(await enrolledIn(ground, mspId, condition));
      }
    }
  }
  return ground;
}

async function enrolledIn(ground: SybilGround, mspId: string, condition: Condition): Promise<EnrolledCar> {
  const { port } = ground;
  const car = port.newCar();
  const firstKey = signingKey();
  const vehicleId = randomVehicleId();
  const certified = await port.certify(mspId, vehicleId, firstKey);
  const { publicKey } = firstKey;
  const attested = await car.attest({ publicKey, mspId, domain: DOMAIN });
  const named = { vehicleId, publicKey, certificateNotAfterMs: certified.notAfterMs, ...attested };
  const enrollment: Enrollment = withFreeSlots(ground, named);
  await accepted(submitItems(ground, mspId, [enrollment]));
  const first: EnrolledCar = { car, condition, mspId, enrollment, firstKey, rotations: 0, certified };
  switch (condition) {
    case 'active':
      return first;
    case 'rotated':
      return rotated(ground, first);
    case 'recovered':
      return recovered(ground, first);
    case 'suspended':
    case 'revoked': {
      const registrar = await port.as(mspId, 'registrar');
      await accepted(registrar('registry:SetVehicleStatus', { vehicleId, status: condition, reason: 'prepared' }));
      return first;
    }
  }
}

async function rotated({ port }: SybilGround, first: EnrolledCar): Promise<EnrolledCar> {
  const { mspId, enrollment, firstKey } = first;
  const { vehicleId } = enrollment;
  const key = signingKey();
  const certified = await port.certify(mspId, vehicleId, key);
  const content = {
    vehicleId,
    rotation: 1,
    publicKey: key.publicKey,
    certificateNotAfterMs: certified.notAfterMs,
  };
  const statement: KeyRotationStatement = { type: 'sev/rotate-key/v1', consortium: port.consortium, ...content };
  const argument = {
    ...content,
    previousKeyProof: signStatement(statement, firstKey.privateKey),
    newKeyProof: signStatement(statement, key.privateKey),
  };
  await accepted(certified.submit('registry:RotateKey', argument));
  return { ...first, certified, rotations: 1 };
}

async function recovered({ port }: SybilGround, first: EnrolledCar): Promise<EnrolledCar> {
  const { car, mspId, enrollment } = first;
  const { vehicleId, tag } = enrollment;
  const key = signingKey();
  const certified = await port.certify(mspId, vehicleId, key);
  const change = { rotation: 1, publicKey: key.publicKey };
  const attested = await car.attestRecovery({ vehicleId, mspId, domain: DOMAIN, tag }, change);
  const registrar = await port.as(mspId, 'registrar');
  const argument = { vehicleId, ...change, certificateNotAfterMs: certified.notAfterMs, ...attested };
  await accepted(registrar('registry:RecoverKey', argument));
  return { ...first, certified, rotations: 1 };
}

async function accepted(call: Promise<unknown>): Promise<void> {
  const [code] = await refusalsOf(call);
  if (code !== undefined) {
    throw new Error(`the honest fleet was refused: ${code}`);
  }
}
