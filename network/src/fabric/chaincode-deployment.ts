// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { formatJson, readJson } from '../supervisor/json.js';
import { pickFreePort } from '../topology/ports.js';
import type { ChaincodePackage } from './chaincode-package.js';
import { ensureTls } from './enrolment.js';
import { tlsFiles, type Member } from './layout.js';

const schema = z.object({
  schemaVersion: z.literal(1),
  name: z.string(),
  version: z.string(),
  label: z.string(),
  packageId: z.string(),
  codeSha256: z.string(),
  /** Folder of the code. */
  path: z.string(),
  port: z.int(),
});

/** A chaincode package that an organisation runs a process of. */
export type InstalledChaincode = Readonly<z.infer<typeof schema>> & {
  /** Its folder in the organisation's: connection, TLS pair, what its process reports. */
  readonly folder: string;
};

const DEPLOYMENT = 'deployment.json';
/** What a chaincode process says about the code it runs. */
export const reportFile = (folder: string): string => join(folder, 'process.json');

const reportSchema = z.object({ pid: z.int(), codeSha256: z.string() });

/** The process of a package that was started last, by its own account: its number, and the hash of the code it runs. */
export async function readReport(
  installed: InstalledChaincode,
): Promise<Readonly<z.infer<typeof reportSchema>> | undefined> {
  return readJson(reportFile(installed.folder), reportSchema);
}

/** The packages that an organisation runs processes of. */
export async function installedChaincodes(member: Member): Promise<InstalledChaincode[]> {
  const root = member.layout.chaincode;
  const labels = existsSync(root) ? (await readdir(root)).sort() : [];
  const found = await Promise.all(
    labels.map(async (label) => {
      const folder = join(root, label);
      const deployment = await readJson(join(folder, DEPLOYMENT), schema);
      return deployment === undefined ? [] : [{ ...deployment, folder }];
    }),
  );
  return found.flat();
}

/**
 * Prepares an organisation's process of a package: port, TLS pair, and the connection that its peer's builder reads.
 * The first package takes the topology's chaincode port, later ones (an upgrade, another chaincode) free ports: a peer
 * keeps the address that it was told when the package was installed.
 */
export async function prepareChaincode(
  member: Member,
  chaincode: { readonly name: string; readonly version: string; readonly path: string },
  built: ChaincodePackage,
): Promise<InstalledChaincode> {
  const installed = await installedChaincodes(member);
  const existing = installed.find(({ label }) => label === built.label);
  if (existing !== undefined) {
    return existing;
  }
  const folder = join(member.layout.chaincode, built.label);
  const taken = new Set(installed.map(({ port }) => port));
  const ownPort = member.ports.chaincode;
  const port = taken.has(ownPort) ? await pickFreePort(taken) : ownPort;
  await ensureTls(member, folder, 'peer');
  await writeConnection(member, { folder, port });
  const { label, packageId, codeSha256 } = built;
  const { name, version, path } = chaincode;
  const deployment = { schemaVersion: 1 as const, name, version, label, packageId, codeSha256, path, port };
  await writeFileAtomic(join(folder, DEPLOYMENT), formatJson(deployment), 0o600);
  return { ...deployment, folder };
}

/** Writes the connection that the peer's builder reads: the process's address, and the peer's TLS pair as its client. */
export async function writeConnection(
  member: Member,
  { folder, port }: Pick<InstalledChaincode, 'folder' | 'port'>,
): Promise<void> {
  const client = tlsFiles(member.layout.peer.tls);
  const connection = {
    address: `localhost:${port.toString()}`,
    root: await readFile(client.ca, 'utf8'),
    cert: await readFile(client.certificate, 'utf8'),
    key: await readFile(client.key, 'utf8'),
  };
  await writeFileAtomic(join(folder, 'connection.json'), formatJson(connection), 0o600);
}

/** Forgets a package whose process is no longer needed. */
export async function removeChaincode(installed: InstalledChaincode): Promise<void> {
  await rm(installed.folder, { recursive: true, force: true });
}
