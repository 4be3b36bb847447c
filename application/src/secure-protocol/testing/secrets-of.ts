// SPDX-License-Identifier: Apache-2.0
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { parametersToBytes, ringBytes, type CommittedComponent } from '@sev/fl';
import { readSecrets, type AttemptSecrets } from '../../aggregator/attempt-secrets.js';
import { HeldReports } from '../../aggregator/held-reports.js';
import { Inbox } from '../../aggregator/inbox.js';
import { readJson } from '../../store/files.js';
import { attemptOf, type AttemptRef } from '../../services/attempt.js';
import type { SecureBed } from '../../testing/secure-bed.js';

/** Something that nobody but its owner, or its holders, may see. */
export interface Secret {
  readonly name: string;
  readonly bytes: Buffer;
}

/** What lies on an aggregator's disk of an attempt. */
export interface OnDisk {
  readonly secrets: AttemptSecrets;
  /** Checked components by vehicle. */
  readonly components: ReadonlyMap<string, readonly CommittedComponent[]>;
}

export async function onDiskOf(bed: SecureBed, mspId: string, ref: AttemptRef): Promise<OnDisk> {
  const inbox = await Inbox.open(bed.homeOf(mspId));
  const folder = inbox.attempt(attemptOf(ref));
  const secrets = await readSecrets(folder);
  const reports = new HeldReports(folder, secrets);
  const components = new Map<string, readonly CommittedComponent[]>();
  for (const { vehicleId } of bed.fleet.vehicles) {
    const report = await reports.find(vehicleId);
    if (report !== undefined) {
      components.set(vehicleId, report.share.components);
    }
  }
  return { secrets, components };
}

/** Private parts of all keys of organisations, vehicles and the arbiter. */
async function keysOf(bed: SecureBed): Promise<Secret[]> {
  const organisations = [...bed.consortium.signingKeys].map(([mspId, { privateKey }]) => ({
    name: `statement key of ${mspId}`,
    bytes: scalarOf(privateKey),
  }));
  const vehicles = bed.fleet.vehicles.map(({ vehicleId, key }) => ({
    name: `key of ${vehicleId}`,
    bytes: scalarOf(key.privateKey),
  }));
  const directory = bed.homeOf('arbiter');
  const files = await readdir(directory).catch(() => []);
  const arbiter = await Promise.all(
    files.map(async (file) => {
      const { privateKey } = (await readJson(join(directory, file))) as { privateKey: string };
      return { name: `arbiter's key ${file}`, bytes: pkcs8Scalar(privateKey) };
    }),
  );
  return [...organisations, ...vehicles, ...arbiter];
}

/** Updates as they are trained, encoded, or printed, and the components that they are shared in, with seeds and salts. */
async function valuesOf(bed: SecureBed, ref: AttemptRef): Promise<Secret[]> {
  const updates = bed.fleet.vehicles.flatMap(({ vehicleId }, index) => {
    const own = bed.fleet.updateOf(index, ref.round);
    const scaled = Float32Array.from(own, (value) => value * 2 ** -bed.task.secure!.fractionBits);
    return [
      { name: `update of ${vehicleId}`, bytes: Buffer.from(ringBytes(Uint32Array.from(own))) },
      { name: `real update of ${vehicleId}`, bytes: Buffer.from(parametersToBytes(scaled)) },
      { name: `printed update of ${vehicleId}`, bytes: Buffer.from([...own].slice(0, 8).join(',')) },
    ];
  });
  const shared = await Promise.all(
    bed.aggregatorIds.map(async (mspId) => {
      const { secrets, components } = await onDiskOf(bed, mspId, ref);
      const ofVehicles = [...components].flatMap(([vehicleId, held]) =>
        held.flatMap(({ component, salt, content }) => [
          { name: `salt ${String(component)} of ${vehicleId}`, bytes: Buffer.from(salt) },
          { name: `component ${String(component)} of ${vehicleId}`, bytes: Buffer.from(content) },
        ]),
      );
      return [
        ...ofVehicles,
        { name: `round key of ${mspId}`, bytes: pkcs8Scalar(secrets.sealingKey) },
        { name: `storage key of ${mspId}`, bytes: Buffer.from(secrets.storageKey, 'base64') },
      ];
    }),
  );
  return [...updates, ...shared.flat()];
}

/** Secrets that stay secret for ever. */
export async function lastingSecrets(bed: SecureBed, ref: AttemptRef): Promise<Secret[]> {
  return [...(await keysOf(bed)), ...(await valuesOf(bed, ref))];
}

/** What is shown once the cohort is fixed and must not be before. */
export async function noncesOnDisk(bed: SecureBed, ref: AttemptRef): Promise<Secret[]> {
  const all = await Promise.all(
    bed.aggregatorIds.map(async (mspId) => {
      const { secrets } = await onDiskOf(bed, mspId, ref);
      const noise = secrets.noise?.flatMap(({ seedParts }) => seedParts) ?? [];
      return [...secrets.nonce, ...noise].map((hex, index) => ({
        name: `nonce or noise seed ${String(index)} of ${mspId}`,
        bytes: Buffer.from(hex, 'hex'),
      }));
    }),
  );
  return all.flat();
}

/** Everything that is said or kept outside of the parties: logs, the ledger with its history, the store. */
export function publicContent(bed: SecureBed): Buffer {
  const objects = [...bed.store.objects.values()].map((bytes) => Buffer.from(bytes));
  return Buffer.concat([Buffer.from(bed.log.lines().join('\n')), Buffer.from(bed.ledger.dump()), ...objects]);
}

function scalarOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).d!, 'base64url');
}

function pkcs8Scalar(base64: string): Buffer {
  return scalarOf(createPrivateKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'pkcs8' }));
}
