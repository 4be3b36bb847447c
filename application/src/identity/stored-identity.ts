// SPDX-License-Identifier: Apache-2.0

/** An identity as its holder keeps it: certificate and private key, both PEM. */
export interface StoredIdentity {
  /** The enrollment id, and the label in the wallet. */
  readonly label: string;
  readonly mspId: string;
  readonly certificate: string;
  /** PKCS #8. */
  readonly privateKey: string;
}
