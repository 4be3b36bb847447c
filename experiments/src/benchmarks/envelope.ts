// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { canonicalJson, sha256Hex, signStatement, type Envelope, type UpdateStatement } from '@sev/chaincode/api';
import { type Benchmark } from '../figure.js';

/** Bytes of argument that one vehicle's envelope adds to its batch. */
export const envelopeSize: Benchmark = {
  name: 'envelope',
  run: () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const content = {
      vehicleId: `v-${randomBytes(16).toString('base64url')}`,
      updateHash: sha256Hex('update'),
      weightClass: 3,
    };
    const round = {
      consortium: sha256Hex('consortium'),
      taskId: 'price-00000000',
      round: 10,
      attempt: 1,
      baseModelHash: sha256Hex('base'),
    };
    const statement: UpdateStatement = { type: 'sev/update/v1', ...round, ...content };
    const envelope: Envelope = { ...content, signature: signStatement(statement, privateKey) };
    return Promise.resolve([
      {
        name: 'envelope-argument',
        value: Buffer.byteLength(canonicalJson(envelope)) + 1,
        unit: 'B',
        target: 400,
        better: 'lower',
        note: 'with the comma that parts it from the next',
      },
    ]);
  },
};
