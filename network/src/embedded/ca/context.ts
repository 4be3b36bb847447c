// SPDX-License-Identifier: Apache-2.0
import type { CertificateAuthority } from './authority.js';
import type { CaRegistry, RegisteredIdentity } from './registry.js';

/** What the calls of one organisation's CA work on. */
export interface CaContext {
  readonly name: string;
  readonly identityAuthority: CertificateAuthority;
  readonly tlsAuthority: CertificateAuthority;
  readonly registry: CaRegistry;
  readonly enrollmentValidityMs: number;
  /** Signs the list of all revoked certificates and hands it to whoever checks memberships. */
  readonly publishRevocations: () => Promise<void>;
}

/** Who is calling, proven by a token. */
export interface Caller {
  readonly identity: RegisteredIdentity;
  /** Serial number of the certificate that signed the token. */
  readonly serial: string;
}
