// SPDX-License-Identifier: Apache-2.0
import { ClassicLevel } from 'classic-level';
import type { x509 } from '../msp/x509.js';
import type { Attribute } from './attributes.js';
import type { RevokedEntry } from './authority.js';
import type { SecretHash } from './secrets.js';

/** A registered identity. */
export interface RegisteredIdentity {
  readonly id: string;
  /** Node OU of its certificates: client, peer, admin, orderer. */
  readonly type: string;
  readonly affiliation: string;
  readonly attributes: readonly Attribute[];
  /** -1 is without limit. */
  readonly maxEnrollments: number;
  readonly enrollments: number;
  readonly failedAttempts: number;
  readonly revoked: boolean;
  readonly secret: SecretHash;
}

/** An issued certificate. */
export interface CertificateRecord {
  readonly serial: string;
  readonly owner: string;
  readonly notAfterMs: number;
  readonly revoked?: { readonly atMs: number; readonly reason: x509.X509CrlReason };
}

export type RevokedCertificate = RevokedEntry & { readonly notAfterMs: number };

const identityKey = (id: string): string => `identity/${id}`;
const certificateKey = (serial: string): string => `certificate/${serial}`;
// Serials have a fixed length, so an id with slashes in it cannot reach into another id's range.
const ownerKey = (owner: string, serial: string): string => `owner/${owner}/${serial}`;
const revokedKey = (serial: string): string => `revoked/${serial}`;
const range = (prefix: string): { gte: string; lt: string } => ({ gte: `${prefix}/`, lt: `${prefix}0` });
const put = (key: string, value: unknown): { type: 'put'; key: string; value: unknown } => ({
  type: 'put',
  key,
  value,
});

/**
 * Registrations, certificates and revocations of one CA, in LevelDB. A promise that resolved is on disk; what belongs
 * together is one batch.
 */
export class CaRegistry {
  readonly #level: ClassicLevel<string, unknown>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(level: ClassicLevel<string, unknown>) {
    this.#level = level;
  }

  static async open(directory: string): Promise<CaRegistry> {
    const level = new ClassicLevel<string, unknown>(directory, { valueEncoding: 'json' });
    await level.open();
    return new CaRegistry(level);
  }

  /** Runs changes one after the other, so that what a change read still holds when it writes. */
  async exclusively<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    // The chain goes on after a change that failed; its caller has the error.
    this.#last = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  identity(id: string): RegisteredIdentity | undefined {
    return this.#level.getSync(identityKey(id)) as RegisteredIdentity | undefined;
  }

  certificate(serial: string): CertificateRecord | undefined {
    return this.#level.getSync(certificateKey(serial)) as CertificateRecord | undefined;
  }

  async identities(): Promise<readonly RegisteredIdentity[]> {
    return (await this.#level.values(range('identity')).all()) as RegisteredIdentity[];
  }

  async revokedCertificates(): Promise<readonly RevokedCertificate[]> {
    return (await this.#level.values(range('revoked')).all()) as RevokedCertificate[];
  }

  async certificatesOf(owner: string): Promise<readonly CertificateRecord[]> {
    const prefix = `owner/${owner}`;
    const keys = await this.#level.keys(range(prefix)).all();
    return keys.flatMap((key) => {
      const record = this.certificate(key.slice(prefix.length + 1));
      return record?.owner === owner ? [record] : [];
    });
  }

  async putIdentity(identity: RegisteredIdentity): Promise<void> {
    await this.#level.put(identityKey(identity.id), identity, { sync: true });
  }

  /** Records a certificate and, with it, that its owner has used up one enrolment. */
  async putCertificate(record: CertificateRecord, owner: RegisteredIdentity): Promise<void> {
    await this.#level.batch(
      [
        put(certificateKey(record.serial), record),
        put(ownerKey(record.owner, record.serial), ''),
        put(identityKey(owner.id), owner),
      ],
      { sync: true },
    );
  }

  /** Marks certificates, and the identity if one is given, as revoked. */
  async revoke(
    records: readonly CertificateRecord[],
    reason: x509.X509CrlReason,
    identity?: RegisteredIdentity,
  ): Promise<void> {
    const atMs = Date.now();
    const marks = records.flatMap((record) => [
      put(certificateKey(record.serial), { ...record, revoked: { atMs, reason } }),
      put(revokedKey(record.serial), {
        serial: record.serial,
        revokedAtMs: atMs,
        reason,
        notAfterMs: record.notAfterMs,
      }),
    ]);
    const owner = identity === undefined ? [] : [put(identityKey(identity.id), { ...identity, revoked: true })];
    await this.#level.batch([...marks, ...owner], { sync: true });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#level.close();
  }
}
