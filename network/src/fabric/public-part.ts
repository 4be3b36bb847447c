// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { mspFiles, tlsFiles, type Member } from './layout.js';

const certificate = z.string().startsWith('-----BEGIN CERTIFICATE-----');
const address = z.object({ host: z.string(), port: z.int().min(1).max(65_535) });

/** What the others of a consortium need to know of an organisation to put it into a channel. No secret is in it. */
export const publicPartSchema = z.object({
  schemaVersion: z.literal(1),
  name: z.string(),
  mspId: z.string(),
  identityCaCert: certificate,
  tlsCaCert: certificate,
  /** Root that the TLS certificate of its CA server comes from. */
  caServerRoot: certificate,
  ca: address,
  peer: address,
  orderer: address.extend({ identityCert: certificate, tlsCert: certificate }).optional(),
  /** What governance on the ledger is to know of it: signing key, roles. For applications; opaque here. */
  governance: z.json().optional(),
});

export type PublicPart = Readonly<z.infer<typeof publicPartSchema>>;

/** Reads the public part of an organisation whose identities are enrolled. */
export async function publicPartOf(member: Member): Promise<PublicPart> {
  const { organisation, ports, layout } = member;
  const { name, mspId, host } = organisation;
  const read = (file: string): Promise<string> => readFile(file, 'utf8');
  const msp = mspFiles(layout.channelMsp);
  const identityCaCert = await read(msp.ca);
  const part = {
    schemaVersion: 1 as const,
    name,
    mspId,
    identityCaCert,
    tlsCaCert: await read(msp.tlsCa),
    caServerRoot: identityCaCert,
    ca: { host, port: ports.ca },
    peer: { host, port: ports.gateway },
  };
  if (ports.orderer === undefined) {
    return part;
  }
  const identityCert = await read(mspFiles(layout.orderer.msp).certificate);
  const tlsCert = await read(tlsFiles(layout.orderer.tls).certificate);
  return { ...part, orderer: { host, port: ports.orderer, identityCert, tlsCert } };
}
