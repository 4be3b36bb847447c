// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { rootFile } from '../fabric/enrolment.js';
import { mspFiles, tlsFiles } from '../fabric/layout.js';
import type { Facts, HomeMember } from './facts.js';

/** A certificate file, and where its key and the root that it should come from lie. */
export interface Credential {
  /** What it is, for people: `peer of grid`. */
  readonly what: string;
  readonly certificate: string;
  /** Nothing where the key's place is the CA's own business. */
  readonly key?: string;
  /** Nothing where it is a root itself. */
  readonly root?: string;
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = existsSync(folder) ? await readdir(folder, { withFileTypes: true }) : [];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
}

async function nativeCredentials({ name, layout }: HomeMember): Promise<Credential[]> {
  const root = rootFile(layout.ca);
  const tlsRoot = rootFile(layout.tlsCa);
  const identity = (what: string, folder: string): Credential => {
    const { key, certificate } = mspFiles(folder);
    return { what: `${what} of ${name}`, certificate, key, root };
  };
  const tls = (what: string, folder: string): Credential => {
    const { key, certificate } = tlsFiles(folder);
    return { what: `TLS of the ${what} of ${name}`, certificate, key, root: tlsRoot };
  };
  return [
    { what: `root of the CA of ${name}`, certificate: root },
    { what: `root of the TLS CA of ${name}`, certificate: tlsRoot },
    { what: `TLS of the CA of ${name}`, certificate: join(layout.ca, 'tls-cert.pem'), root },
    identity('administrator', layout.adminMsp),
    identity('peer', layout.peer.msp),
    tls('peer', layout.peer.tls),
    identity('orderer', layout.orderer.msp),
    tls('orderer', layout.orderer.tls),
    ...(await foldersIn(layout.chaincode)).map((folder) => tls('chaincode', folder)),
  ];
}

async function embeddedCredentials({ paths }: Facts, { name }: HomeMember): Promise<Credential[]> {
  const folder = join(paths.crypto, name);
  const files = existsSync(folder) ? await readdir(folder) : [];
  return files
    .filter((file) => file.endsWith('.crt'))
    .map((file) => ({
      what: `${file.slice(0, -'.crt'.length)} of ${name}`,
      certificate: join(folder, file),
      key: join(folder, file.replace(/\.crt$/, '.key')),
    }));
}

/** The certificates of this home's nodes and CAs that are there. */
export async function nodeCredentials(facts: Facts): Promise<Credential[]> {
  const lists = await Promise.all(
    facts.members.map((member) =>
      facts.kind === 'fabric' ? nativeCredentials(member) : embeddedCredentials(facts, member),
    ),
  );
  return lists.flat().filter(({ certificate }) => existsSync(certificate));
}

export async function readCertificate(file: string): Promise<X509Certificate> {
  return new X509Certificate(await readFile(file));
}

/** Whether a certificate was issued by a root. */
export const comesFrom = (certificate: X509Certificate, root: X509Certificate): boolean =>
  certificate.checkIssued(root) && certificate.verify(root.publicKey);
