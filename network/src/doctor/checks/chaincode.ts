// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { organisationAdmin, type OrganisationAdmin } from '../../fabric/admin.js';
import { installedChaincodes, readReport, type InstalledChaincode } from '../../fabric/chaincode-deployment.js';
import { codeHash } from '../../fabric/chaincode-package.js';
import { approvedPackage, committedDefinition } from '../../fabric/lifecycle.js';
import type { Member } from '../../fabric/layout.js';
import { findPrograms, type FabricPrograms } from '../../fabric/programs.js';
import { NetworkError } from '../../errors.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { readFromTar } from '../tar-entry.js';

const connectionSchema = z.object({ code_sha256: z.string() });
const short = (hash: string): string => hash.slice(0, 12);

/** Where a peer keeps an installed package: as it was installed. */
function packageFile(member: Member, packageId: string): string {
  const name = `${packageId.replace(':', '.')}.tar.gz`;
  return join(member.layout.peer.data, 'lifecycle', 'chaincodes', name);
}

/** Whether the package on the peer is the one of its id, and names the code of its deployment. */
async function packageProblem(member: Member, installed: InstalledChaincode): Promise<DoctorProblem | undefined> {
  const file = packageFile(member, installed.packageId);
  if (!existsSync(file)) {
    return undefined;
  }
  const bytes = await readFile(file);
  const hash = createHash('sha256').update(bytes).digest('hex');
  if (!installed.packageId.endsWith(`:${hash}`)) {
    return { code: 'CHAINCODE_PACKAGE_DIFFERS', found: `${file} has the hash ${hash}` };
  }
  const connection = await readFromTar(await readFromTar(bytes, 'code.tar.gz'), 'connection.json');
  const code = connectionSchema.parse(JSON.parse(connection.toString('utf8'))).code_sha256;
  const found = `${file} is for code ${short(code)}, ${installed.folder} says ${short(installed.codeSha256)}`;
  return code === installed.codeSha256 ? undefined : { code: 'CHAINCODE_PACKAGE_DIFFERS', found };
}

/** Whether process and folder have the code of the package. */
async function codeProblem(
  { live }: Facts,
  member: Member,
  installed: InstalledChaincode,
): Promise<DoctorProblem | undefined> {
  const { codeSha256, path, label } = installed;
  const what = `${label} of ${member.organisation.name}`;
  const report = live === undefined ? undefined : await readReport(installed);
  const node = live?.nodes.find(({ name }) => name === `chaincode.${member.organisation.name}.${label}`);
  if (report !== undefined && report.pid === node?.pid && report.codeSha256 !== codeSha256) {
    const found = `${what}: its process runs code ${short(report.codeSha256)}, approved is ${short(codeSha256)}`;
    return { code: 'CHAINCODE_CODE_UNAPPROVED', found };
  }
  try {
    const now = await codeHash(path);
    const found = `${what}: ${path} has code ${short(now)}, approved is ${short(codeSha256)}`;
    return now === codeSha256 ? undefined : { code: 'CHAINCODE_CODE_CHANGED', found };
  } catch (error) {
    if (error instanceof NetworkError) {
      return { code: 'CHAINCODE_CODE_MISSING', found: `${what}: ${error.message}` };
    }
    throw error;
  }
}

/** What the channel has committed, what the organisation has approved of it, and whether a process is there for it. */
async function approvalProblem(
  facts: Facts,
  admin: OrganisationAdmin,
  name: string,
  installed: readonly InstalledChaincode[],
): Promise<DoctorProblem | undefined> {
  const channel = facts.state.value?.channel ?? '';
  const who = admin.member.organisation.name;
  const committed = await committedDefinition(admin, { channel, name });
  if (committed === undefined) {
    return { code: 'CHAINCODE_NOT_DEPLOYED', found: `${name} on ${channel}, asked at the peer of ${who}` };
  }
  const { sequence, version } = committed;
  const definition = `${name} ${version} (sequence ${sequence.toString()})`;
  const packageId = await approvedPackage(admin, { channel, name, sequence });
  if (packageId === undefined) {
    return { code: 'CHAINCODE_NOT_APPROVED', found: `${definition} by ${who}` };
  }
  const deployed = installed.find((each) => each.packageId === packageId);
  const node = facts.live?.nodes.find(({ name: node }) => node === `chaincode.${who}.${deployed?.label ?? ''}`);
  return deployed === undefined || node === undefined
    ? { code: 'CHAINCODE_PROCESS_MISSING', found: `${definition}: ${who} approved ${packageId}` }
    : undefined;
}

/** A peer that is down cannot be asked, which another check reports. */
const isPeerUp = ({ live }: Facts, { organisation }: Member): boolean =>
  live?.nodes.find(({ name }) => name === `peer.${organisation.name}`)?.running ?? false;

async function memberProblems(
  facts: Facts,
  member: Member,
  programs: FabricPrograms | undefined,
): Promise<DoctorProblem[]> {
  const installed = await installedChaincodes(member);
  const own = facts.topology.value?.chaincode.name;
  const names = new Set([...(own === undefined ? [] : [own]), ...installed.map(({ name }) => name)]);
  const problems: (DoctorProblem | undefined)[] = [];
  for (const each of installed) {
    problems.push(await packageProblem(member, each), await codeProblem(facts, member, each));
  }
  if (programs !== undefined && isPeerUp(facts, member)) {
    const admin = organisationAdmin(programs, member, undefined);
    for (const name of names) {
      problems.push(await approvalProblem(facts, admin, name, installed));
    }
  }
  return problems.filter((problem) => problem !== undefined);
}

/** The members as the functions of the native network take them. */
function nativeMembers({ members, topology }: Facts): Member[] {
  return members.flatMap(({ name, ports, layout }) => {
    const organisation = topology.value?.organisations.find((each) => each.name === name);
    return organisation === undefined ? [] : [{ organisation, ports, layout }];
  });
}

async function chaincodeResult(facts: Facts): Promise<CheckResult | undefined> {
  const members = nativeMembers(facts);
  if (facts.kind !== 'fabric' || members.length === 0) {
    return undefined;
  }
  const canAsk = facts.running === 'up' && facts.programs.length === 0;
  const programs = canAsk ? await findPrograms() : undefined;
  const problems = await Promise.all(members.map((member) => memberProblems(facts, member, programs)));
  const seen =
    facts.running === 'up'
      ? 'processes, folders and packages have the approved code'
      : 'folders and packages have the same code';
  return { seen, problems: problems.flat() };
}

export const chaincodeCheck: Check = { name: 'chaincode', run: chaincodeResult };
