// SPDX-License-Identifier: Apache-2.0
import { signStatement, type Enrollment, type ErrorCode, type MakerAttestation } from '../../api';
import { randomHash, randomVehicleId, signingKey, type SigningKey } from '../identities';
import {
  DOMAIN,
  enrolledCar,
  itemOf,
  kindsOf,
  oneBatch,
  otherThan,
  submitItems,
  withFreeSlots,
  type Attempt,
  type SybilKind,
} from './attempt';
import { refusalsOf, type EnrolledCar, type SybilGround } from './ground';
import type { SeededChoice } from './seeded';

/** Order of P-256 (FIPS 186-5): with (r, s) also (r, n − s) is a signature. */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** What an organisation can try whose registrar and CA are hostile and that no maker attests to: cars made up, words bent. */
export const byForgery: readonly SybilKind[] = kindsOf('organisation', {
  'random bytes as attestation': altered('ATTESTATION_INVALID', () => ({ attestation: randomSignature() })),
  "own signature in the maker's name": {
    code: 'ATTESTATION_INVALID',
    make: (ground, random) => Promise.resolve(forged(ground, random)),
  },
  'maker that nobody accredited': {
    code: 'MAKER_UNKNOWN',
    make: (ground, random) => Promise.resolve(forged(ground, random, `maker-${randomHash().slice(0, 8)}`)),
  },
  'maker that the organisation accredits alone': { code: 'MAKER_UNKNOWN', make: selfAccredited },
  'key exchanged': altered('ATTESTATION_INVALID', () => ({ publicKey: signingKey().publicKey })),
  'tag exchanged': altered('ATTESTATION_INVALID', () => ({ tag: randomHash() })),
  "another car's tag": altered('ATTESTATION_INVALID', (ground, random) => {
    const { tag } = enrolledCar(ground, random).enrollment;
    return { tag };
  }),
  "another organisation's attestation": {
    code: 'ATTESTATION_INVALID',
    make: (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random);
      const item = withFreeSlots(ground, { ...enrollment, vehicleId: randomVehicleId() });
      return Promise.resolve(oneBatch(ground, otherThan(ground, random, mspId), [item]));
    },
  },
  "another domain's attestation": {
    code: 'ATTESTATION_INVALID',
    make: (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random);
      const item = withFreeSlots(ground, { ...enrollment, vehicleId: randomVehicleId() });
      return Promise.resolve(oneBatch(ground, mspId, [item], { domain: random.pick(['energy', 'sharing']) }));
    },
  },
  "another network's attestation": {
    code: 'ATTESTATION_INVALID',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const car = ground.port.newCar();
      const item = await itemOf(ground, car, { mspId });
      const wanted = { publicKey: item.publicKey, mspId, domain: DOMAIN, consortium: randomHash() };
      return oneBatch(ground, mspId, [{ ...item, ...(await car.attest(wanted)) }]);
    },
  },
  'attestation with its other signature': {
    code: 'TAG_ALREADY_ENROLLED',
    make: (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random);
      const attestation = otherSignature(enrollment.attestation);
      const item = withFreeSlots(ground, { ...enrollment, vehicleId: randomVehicleId(), attestation });
      return Promise.resolve(oneBatch(ground, mspId, [item]));
    },
  },
  "another's enrollment replayed": {
    code: 'VEHICLE_CONFLICT',
    make: (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random);
      const other = otherThan(ground, random, mspId);
      return Promise.resolve(oneBatch(ground, other, [enrollment], { victimId: enrollment.vehicleId }));
    },
  },
  "new car under another's id": {
    code: 'VEHICLE_CONFLICT',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const { vehicleId } = enrolledCar(ground, random).enrollment;
      const item = await itemOf(ground, ground.port.newCar(), { mspId, vehicleId });
      return oneBatch(ground, mspId, [item], { victimId: vehicleId });
    },
  },
  'recovery under a new id': {
    code: 'VEHICLE_UNKNOWN',
    make: async (ground, random) => {
      const own = enrolledCar(ground, random, 'active');
      const vehicleId = randomVehicleId();
      return recovery(ground, own, own.mspId, { vehicleId, newIds: [vehicleId] });
    },
  },
  "recovery of another organisation's vehicle": {
    code: 'ACCESS_DENIED',
    make: async (ground, random) => {
      const own = enrolledCar(ground, random, 'active');
      const victimId = own.enrollment.vehicleId;
      return recovery(ground, own, otherThan(ground, random, own.mspId), { vehicleId: victimId, newIds: [], victimId });
    },
  },
  "recovery without the maker's word": {
    code: 'ATTESTATION_INVALID',
    make: async (ground, random) => {
      const own = enrolledCar(ground, random, 'active', 'suspended');
      const victimId = own.enrollment.vehicleId;
      const attestation = randomSignature();
      return recovery(ground, own, own.mspId, { vehicleId: victimId, newIds: [], victimId, attestation });
    },
  },
  'revoked vehicle made active': {
    code: 'VEHICLE_STATUS_TRANSITION',
    make: async (ground, random) => {
      const { mspId, enrollment } = enrolledCar(ground, random, 'revoked');
      const submit = await ground.port.as(mspId, 'registrar');
      const argument = {
        vehicleId: enrollment.vehicleId,
        status: random.pick(['active', 'suspended']),
        reason: 'again',
      };
      const run = () => refusalsOf(submit('registry:SetVehicleStatus', argument));
      return { run, newIds: [], victimId: enrollment.vehicleId };
    },
  },
  'staff that is no registrar': {
    code: 'ACCESS_DENIED',
    make: async (ground, random) => {
      const mspId = random.pick(ground.port.organisations);
      const item = await itemOf(ground, ground.port.newCar(), { mspId });
      return oneBatch(ground, mspId, [item], { role: random.pick(['operator', 'attester']) });
    },
  },
});

/** A new car that its maker attests, and one field of the enrollment changed afterwards. */
function altered(
  code: ErrorCode,
  change: (ground: SybilGround, random: SeededChoice) => Partial<Enrollment>,
): { readonly code: ErrorCode; readonly make: SybilKind['make'] } {
  const make: SybilKind['make'] = async (ground, random) => {
    const mspId = random.pick(ground.port.organisations);
    const item = await itemOf(ground, ground.port.newCar(), { mspId });
    return oneBatch(ground, mspId, [{ ...item, ...change(ground, random) }]);
  };
  return { code, make };
}

/** A car that does not exist, attested by a key that the organisation has made itself. */
function forgedItem(ground: SybilGround, mspId: string, makerKeyId: string, maker: SigningKey): Enrollment {
  const { publicKey } = signingKey();
  const { consortium, nowMs } = ground.port;
  const content = { makerKeyId, publicKey, tag: randomHash() };
  const statement: MakerAttestation = {
    type: 'sev/maker-attestation/v1',
    consortium,
    mspId,
    domain: DOMAIN,
    ...content,
  };
  return withFreeSlots(ground, {
    vehicleId: randomVehicleId(),
    ...content,
    attestation: signStatement(statement, maker.privateKey),
    certificateNotAfterMs: nowMs() + 86_400_000,
  });
}

function forged(ground: SybilGround, random: SeededChoice, makerKeyId?: string): Attempt {
  const mspId = random.pick(ground.port.organisations);
  const genuine = makerKeyId ?? enrolledCar(ground, random).enrollment.makerKeyId;
  return oneBatch(ground, mspId, [forgedItem(ground, mspId, genuine, signingKey())]);
}

/** The organisation proposes its own key as a maker's, executes that without the others' votes, and enrols with it. */
async function selfAccredited(ground: SybilGround, random: SeededChoice): Promise<Attempt> {
  const mspId = random.pick(ground.port.organisations);
  const operator = await ground.port.as(mspId, 'operator');
  const key = signingKey();
  const proposalId = `sybil-${randomHash().slice(0, 16)}`;
  const makerKeyId = `maker-${proposalId}`;
  const change = { kind: 'put-maker', maker: { makerKeyId, mspId, publicKey: key.publicKey } };
  const item = forgedItem(ground, mspId, makerKeyId, key);
  const run = async (): Promise<string[]> => [
    ...(await refusalsOf(operator('governance:Propose', { proposalId, change }))),
    ...(await refusalsOf(operator('governance:Execute', { proposalId }))),
    ...(await refusalsOf(submitItems(ground, mspId, [item]))),
  ];
  return { run, newIds: [item.vehicleId] };
}

interface RecoveryOf extends Pick<Attempt, 'newIds' | 'victimId'> {
  readonly vehicleId: string;
  /** Default: the maker's, for the vehicle that the car is. */
  readonly attestation?: string;
}

async function recovery(ground: SybilGround, own: EnrolledCar, mspId: string, what: RecoveryOf): Promise<Attempt> {
  const { car, enrollment, rotations } = own;
  const { vehicleId, attestation, ...attempt } = what;
  const change = { rotation: rotations + 1, publicKey: signingKey().publicKey };
  const vehicle = { ...enrollment, mspId: own.mspId, domain: DOMAIN };
  const genuine = await car.attestRecovery(vehicle, change);
  const argument = {
    vehicleId,
    ...change,
    certificateNotAfterMs: enrollment.certificateNotAfterMs,
    ...genuine,
    ...(attestation === undefined ? {} : { attestation }),
  };
  const submit = await ground.port.as(mspId, 'registrar');
  return { run: () => refusalsOf(submit('registry:RecoverKey', argument)), ...attempt };
}

/** 64 bytes in base64url. */
function randomSignature(): string {
  return Buffer.from(randomHash() + randomHash(), 'hex').toString('base64url');
}

function otherSignature(signature: string): string {
  const bytes = Buffer.from(signature, 'base64url');
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const other = Buffer.from((P256_ORDER - s).toString(16).padStart(64, '0'), 'hex');
  return Buffer.concat([bytes.subarray(0, 32), other]).toString('base64url');
}
