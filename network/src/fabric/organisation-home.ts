// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { livingProcess } from '../supervisor/handshake.js';
import { formatJson, readJson } from '../supervisor/json.js';
import { asOnlyCommand, topologyFile, type NetworkOptions } from '../supervisor/options.js';
import { networkPaths, registrarPath, type NetworkPaths } from '../supervisor/paths.js';
import { isAlive, sendSignal } from '../supervisor/process.js';
import { poll } from '../supervisor/poll.js';
import type { ConnectionProfile } from '../supervisor/profile.js';
import { ensureRegistrar } from '../supervisor/registrar.js';
import { prepareState, readState, type NetworkState } from '../supervisor/state.js';
import { loadTopology } from '../topology/load.js';
import { checkPortsFree, parsePortOffset } from '../topology/ports.js';
import type { Topology } from '../topology/schema.js';
import { ensureCaConfiguration } from './ca-config.js';
import { organisationProfile } from './connection-profile.js';
import { ensureNodeIdentities } from './enrolment.js';
import { membersOf } from './home.js';
import { mspFiles, type Member } from './layout.js';
import { NodeSet } from './node-set.js';
import { caNode } from './nodes.js';
import { findPrograms } from './programs.js';
import { publicPartOf, type PublicPart } from './public-part.js';
import { fingerprintOf, signedPartOf, writeSignedPart, type SignedPart } from './signed-part.js';

const LEFTOVER_DEADLINE_MS = 5_000;

/** An organisation as others get to know it. */
export interface OrganisationSummary {
  readonly name: string;
  readonly mspId: string;
  /** SHA-256 of its identity root, for people to compare. */
  readonly fingerprint: string;
}

export const summaryOf = (part: PublicPart): OrganisationSummary => ({
  name: part.name,
  mspId: part.mspId,
  fingerprint: fingerprintOf(part),
});

/**
 * Enrols what an organisation's applications need, while its CA runs.
 * @returns what governance on the ledger is to know of the organisation; public
 */
export type ApplicationEnrolment = (
  organisation: ConnectionProfile['organisations'][number],
) => Promise<PublicPart['governance']>;

/** The one organisation of a home. @throws NetworkError STATE_FOREIGN, NOT_SUPPORTED */
export function onlyMember(paths: NetworkPaths, topology: Topology, state: NetworkState | undefined): Member {
  const [member, other] = state?.members === undefined ? [] : membersOf(paths, topology, state);
  if (member === undefined || other !== undefined) {
    throw new NetworkError(
      'NOT_SUPPORTED',
      `${paths.home} is not the home of one organisation; make one with \`network org init\``,
    );
  }
  return member;
}

function checkHome(paths: NetworkPaths, state: NetworkState | undefined, name: string): void {
  if (state !== undefined && state.members?.join() !== name) {
    const owner = state.members === undefined ? 'a whole network' : `organisation ${state.members.join(', ')}`;
    throw new NetworkError('STATE_FOREIGN', `${paths.home} is the home of ${owner}; choose another for ${name}`);
  }
}

/** Where the home keeps what governance is to know of its organisation. */
const governanceFile = (member: Member): string => join(member.layout.root, 'governance.json');

const identity = z.object({ pid: z.int().positive(), startTime: z.string() });

/** Ends a CA server that an initialisation left when it was killed: it would hold the port. */
async function endLeftover(pidFile: string): Promise<void> {
  const leftover = await readJson(pidFile, identity);
  if (leftover !== undefined && isAlive(leftover)) {
    sendSignal(leftover.pid, 'SIGKILL');
    await poll(() => !isAlive(leftover) || undefined, LEFTOVER_DEADLINE_MS);
  }
}

/** Has something done while the organisation's CA server runs: the network's own, or one for the time being. */
async function withCa<T>(
  paths: NetworkPaths,
  topology: Topology,
  state: NetworkState,
  member: Member,
  work: () => Promise<T>,
): Promise<T> {
  if ((await livingProcess(paths)) !== undefined) {
    return work();
  }
  const programs = await findPrograms();
  const specification = caNode(programs, member);
  await endLeftover(specification.pidFile);
  await checkPortsFree(topology, state.portPlan, [member.organisation.name]);
  const nodes = new NodeSet(() => undefined);
  try {
    await nodes.start([specification]);
    return await work();
  } finally {
    await nodes.stop();
  }
}

/**
 * Makes the home of one organisation of a consortium: its own CA, its own keys, here only. Doing it again changes
 * nothing and finishes what was cut short.
 *
 * @param name of the organisation in the topology
 * @param enrolApplication what the organisation's applications need of its CA
 * @throws NetworkError FABRIC_MISSING, FABRIC_VERSION, ORGANISATION_UNKNOWN, STATE_FOREIGN, PORT_OFFSET_INVALID,
 *   PORT_IN_USE, NETWORK_START_FAILED; TopologyError
 */
export async function initOrganisation(
  name: string,
  options: NetworkOptions = {},
  enrolApplication: ApplicationEnrolment = () => Promise.resolve(undefined),
): Promise<OrganisationSummary> {
  const progress = options.onProgress ?? (() => undefined);
  await findPrograms();
  const remembered = await readState(networkPaths(options.home, 'fabric'));
  const topology = loadTopology(topologyFile(options, remembered?.topologyFile), 'fabric');
  if (!topology.organisations.some((organisation) => organisation.name === name)) {
    const names = topology.organisations.map((organisation) => organisation.name).join(', ');
    throw new NetworkError('ORGANISATION_UNKNOWN', `${topology.file} has no organisation "${name}", only ${names}`);
  }
  const offset = parsePortOffset(process.env['SEV_PORT_OFFSET']);
  if (offset === 'ephemeral') {
    throw new NetworkError(
      'PORT_OFFSET_INVALID',
      `SEV_PORT_OFFSET=ephemeral is not for organisations apart: ${topology.file} names the ports, which the others must know`,
    );
  }
  return asOnlyCommand(
    options,
    async (paths) => {
      checkHome(paths, await readState(paths), name);
      const state = await prepareState(paths, topology, offset, [name]);
      const member = onlyMember(paths, topology, state);
      const registrar = await ensureRegistrar(registrarPath(paths, name));
      await ensureCaConfiguration(member, registrar, topology.certificates.enrollmentValiditySeconds);
      progress(`starting the certificate authority of ${name}`);
      await withCa(paths, topology, state, member, async () => {
        progress('enrolling the nodes');
        await ensureNodeIdentities(member);
        progress('enrolling the staff');
        const governance = await enrolApplication(organisationProfile(await publicPartOf(member)));
        if (governance !== undefined) {
          await writeFileAtomic(governanceFile(member), formatJson(governance));
        }
      });
      return summaryOf(await publicPartOf(member));
    },
    'fabric',
  );
}

/** The signed public part of a home's organisation. @throws NetworkError NOT_SUPPORTED, ORGANISATION_UNKNOWN */
export async function ownPart(member: Member): Promise<SignedPart> {
  if (!existsSync(mspFiles(member.layout.adminMsp).certificate)) {
    throw new NetworkError(
      'ORGANISATION_UNKNOWN',
      `${member.organisation.name} has no keys here yet; run \`network org init ${member.organisation.name}\``,
    );
  }
  return signedPartOf(member, await readJson(governanceFile(member), z.json()));
}

/** Writes the public part of the home's organisation, for the others. @throws NetworkError NOT_SUPPORTED */
export async function exportPart(file: string, options: NetworkOptions = {}): Promise<OrganisationSummary> {
  const { member } = await openOrganisation(options);
  const signed = await ownPart(member);
  await writeSignedPart(file, signed);
  return summaryOf(signed.part);
}

/** Opens the home of one organisation, which need not run. */
export async function openOrganisation(
  options: NetworkOptions,
): Promise<{ paths: NetworkPaths; topology: Topology; state: NetworkState; member: Member }> {
  const paths = networkPaths(options.home, 'fabric');
  const state = await readState(paths);
  const topology = loadTopology(topologyFile(options, state?.topologyFile), 'fabric');
  const member = onlyMember(paths, topology, state);
  if (state === undefined) {
    throw new NetworkError('NOT_SUPPORTED', `${paths.home} holds nothing; make it with \`network org init\``);
  }
  return { paths, topology, state, member };
}
