// SPDX-License-Identifier: Apache-2.0
import { join, resolve } from 'node:path';

/**
 * The home folder of a program or organisation: what `--home` says, else `SEV_HOME`, else the folder of its name in
 * `SEV_HOMES`, which is `.sev` in the working directory where it is not set.
 */
export function homeOf(what: string, option?: string): string {
  return resolve(option ?? process.env['SEV_HOME'] ?? join(process.env['SEV_HOMES'] ?? '.sev', what));
}

/** Names of the files in a home; the only place that builds these paths. */
export const inHome = {
  wallet: (home: string) => join(home, 'wallet'),
  /** Signs the organisation's statements. */
  signingKey: (home: string) => join(home, 'signing-key.pem'),
  makerKey: (home: string) => join(home, 'maker-key.pem'),
  makerSecret: (home: string) => join(home, 'maker-secret'),
  /** Signs what a maker's factory puts into its cars. */
  provisioningKey: (home: string) => join(home, 'provisioning-key.pem'),
  /** Certificates that were issued and are not yet known to be on the ledger. */
  issued: (home: string) => join(home, 'issued'),
  /** Vehicles of a vehicle home: what their maker put into them, and their keys until a certificate is installed. */
  vehicles: (home: string) => join(home, 'vehicles'),
  /** Keys under which vehicles name the rows that they said a base model's loss on, and those names. */
  vehicleData: (home: string) => join(home, 'vehicle-data'),
  /** Keys that vehicles are about to take up, with their certificates, until the wallet holds them. */
  nextKeys: (home: string) => join(home, 'next-keys'),
  /** Keys that components in dispute are released to. */
  arbiterKeys: (home: string) => join(home, 'arbiter-keys'),
  /** Keys, shares and server certificate of the organisation's aggregator. */
  aggregator: (home: string) => join(home, 'aggregator'),
  /** Envelopes that the organisation's update batcher took and that may not be on the ledger yet. */
  batcher: (home: string) => join(home, 'batcher'),
  /** What the organisation found of opened updates of suspected vehicles. */
  incidents: (home: string) => join(home, 'incidents'),
  service: (home: string) => join(home, 'service.json'),
} as const;
