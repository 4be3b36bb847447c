// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { publicKeyText } from '../../api';
import { randomVehicleId, signingKey } from '../identities';
import { DOMAIN, enrolledCar, itemOf, kindsOf, oneBatch, withFreeSlots, type SybilKind } from './attempt';

type Spelling = (text: string) => string;

const KEYS: readonly Spelling[] = [
  (text) => `${text}\n`,
  (text) => ` ${text}`,
  (text) => text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', ''),
  (text) => `${text.slice(0, -3)}\r\n${text.slice(-3)}`,
  (text) => Buffer.concat([Buffer.from(text, 'base64'), Buffer.alloc(2)]).toString('base64'),
  hybridPoint,
  () => publicKeyText(generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey),
  () => publicKeyText(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
];
const TAGS: readonly Spelling[] = [
  (text) => upperCaseOf(text),
  (text) => `${text} `,
  (text) => `${text}\n`,
  (text) => `0x${text}`,
  (text) => text.slice(2),
  (text) => `${text}00`,
  (text) => `\u200b${text}`,
  (text) => text.replace(/[0-9]/, (digit) => String.fromCodePoint(0xff10 + Number(digit))),
];
const IDS: readonly Spelling[] = [
  (text) => `V${text.slice(1)}`,
  (text) => `${text} `,
  (text) => `${text}\n`,
  (text) => `${text}==`,
  (text) => `${text}\u0000`,
  (text) => text.slice(0, -1),
  (text) => text.normalize().replace('-', '\u2010'),
];
const DOMAINS: readonly Spelling[] = [
  (text) => `L${text.slice(1)}`,
  (text) => `${text} `,
  (text) => `${text}\u0000`,
  (text) => text.replace('e', '\u0435'),
  () => '',
];
const FIELDS = ['Tag', 'previousTag', 'status', 'makerMspId', 'constructor', 'mspId'] as const;

/** The car's own names, spelled so that they would be others to a contract that does not look closely. */
export const bySpelling: readonly SybilKind[] = kindsOf('vehicle', {
  'key spelled otherwise': {
    code: 'ARGUMENT_INVALID',
    make: async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const publicKey = random.pick(KEYS)(signingKey().publicKey);
      const attested = await car.attest({ publicKey, mspId, domain: DOMAIN });
      const { certificateNotAfterMs } = await itemOf(ground, car, { mspId });
      const item = { vehicleId: randomVehicleId(), publicKey, certificateNotAfterMs, ...attested };
      return oneBatch(ground, mspId, [withFreeSlots(ground, item)]);
    },
  },
  'tag spelled otherwise': {
    code: 'ARGUMENT_INVALID',
    make: async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const item = await itemOf(ground, car, { mspId });
      return oneBatch(ground, mspId, [{ ...item, tag: random.pick(TAGS)(item.tag) }]);
    },
  },
  'id spelled otherwise': {
    code: 'ARGUMENT_INVALID',
    make: async (ground, random) => {
      const { car, mspId, enrollment } = enrolledCar(ground, random);
      const vehicleId = random.pick(IDS)(enrollment.vehicleId);
      return oneBatch(ground, mspId, [await itemOf(ground, car, { mspId, vehicleId })]);
    },
  },
  'domain spelled otherwise': {
    code: 'ARGUMENT_INVALID',
    make: async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const item = await itemOf(ground, car, { mspId });
      return oneBatch(ground, mspId, [item], { domain: random.pick(DOMAINS)(DOMAIN) });
    },
  },
  'field that the contract does not know': {
    code: 'ARGUMENT_INVALID',
    make: async (ground, random) => {
      const { car, mspId } = enrolledCar(ground, random);
      const item = await itemOf(ground, car, { mspId });
      return oneBatch(ground, mspId, [{ ...item, [random.pick(FIELDS)]: 'active' }]);
    },
  },
});

/** A tag of digits only has no other case. */
function upperCaseOf(text: string): string {
  return text === text.toUpperCase() ? `${text.slice(0, -1)}A` : text.toUpperCase();
}

/** The hybrid form of the point (X9.62, 4.3.6), which OpenSSL would read as the same key. */
function hybridPoint(text: string): string {
  const der = Buffer.from(text, 'base64');
  const parity = (der.at(-1) ?? 0) & 1;
  der[der.length - 65] = 6 + parity;
  return der.toString('base64');
}
