// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import { NetworkError } from '../errors.js';
import type { NetworkOptions } from '../supervisor/options.js';
import { writeParts } from './channel-folder.js';
import { mspIdOf, openMember, partsOf, type MemberHome } from './channel-member.js';
import { checkDistinct } from './check-parts.js';
import { groupAt, type ChannelConfig } from './config-document.js';
import { fetchChannelConfig, prepareUpdate, signUpdate, submitUpdate, type ConfigChange } from './config-update.js';
import { inTemporaryFolder, readConfigBlock } from './configtxlator.js';
import { mspConfiguration } from './enrolment.js';
import { composeGenesis } from './genesis.js';
import { followChannel } from './membership.js';
import {
  addConsenter,
  addOrganisation,
  checkFaultTolerance,
  checkOrganisationRoots,
  organisationsOf,
  removeOrganisation,
  rotateConsenter,
} from './organisation-groups.js';
import { summaryOf } from './organisation-home.js';
import type { PublicPart } from './public-part.js';
import { readSignedPart, type SignedPart } from './signed-part.js';
import { readEnvelope, readUpdateFile, writeUpdateFile, type Intention, type UpdateFile } from './update-file.js';

/** What a proposed change does, and who has signed it. */
export interface ProposedUpdate {
  readonly file: string;
  readonly change: Intention['kind'];
  readonly organisation: { readonly name: string; readonly mspId: string; readonly fingerprint?: string };
  /** Whether it may leave the channel without a spare orderer. */
  readonly acceptNoFaultTolerance: boolean;
  /** MSP ids. */
  readonly signers: readonly string[];
}

export interface RemovalOptions extends NetworkOptions {
  /** Even where no orderer may fail afterwards. */
  readonly acceptNoFaultTolerance?: boolean;
}

/** The group that a new organisation gets: as it would have been, had the channel been founded with it. */
async function composedGroup(
  { home, folder }: MemberHome,
  config: ChannelConfig,
  part: PublicPart,
): Promise<ChannelConfig> {
  const { programs, topology } = home;
  const members = organisationsOf(config);
  const others = (await partsOf(folder)).filter(({ mspId }) => members.includes(mspId) && mspId !== part.mspId);
  checkDistinct([...others, part]);
  return inTemporaryFolder(async (file) => {
    const genesis = await composeGenesis(programs, file('with'), topology, [...others, part], mspConfiguration());
    const block = await readConfigBlock(programs, genesis);
    return groupAt(block.config, 'Application', part.mspId);
  });
}

/** The change that an intention means, as every organisation works it out for itself. */
function changeFor(member: MemberHome, intention: Intention): ConfigChange {
  if (intention.kind === 'remove') {
    const { mspId, acceptNoFaultTolerance } = intention;
    return (config) => {
      const before = structuredClone(config);
      const changed = removeOrganisation(config, mspId);
      if (!acceptNoFaultTolerance) {
        checkFaultTolerance(before, changed);
      }
      return changed;
    };
  }
  const { part } = intention.signed;
  if (intention.kind === 'add-orderer') {
    return (config) => {
      const changed = addConsenter(config, part);
      checkOrganisationRoots(changed, part);
      return changed;
    };
  }
  if (intention.kind === 'rotate-orderer') {
    return (config) => rotateConsenter(config, part);
  }
  return async (config) => addOrganisation(config, part.mspId, await composedGroup(member, config, part));
}

async function describe(folder: string, intention: Intention): Promise<Omit<ProposedUpdate, 'file' | 'signers'>> {
  if (intention.kind !== 'remove') {
    return {
      change: intention.kind,
      organisation: summaryOf(intention.signed.part),
      acceptNoFaultTolerance: false,
    };
  }
  const { kind, mspId, acceptNoFaultTolerance } = intention;
  const known = (await partsOf(folder)).find((part) => part.mspId === mspId);
  const organisation = known === undefined ? { name: mspId, mspId } : summaryOf(known);
  return { change: kind, organisation, acceptNoFaultTolerance };
}

/** A newcomer's part stays: its address and roots are in it. */
async function keepPart(folder: string, intention: Intention): Promise<void> {
  if (intention.kind !== 'remove') {
    await writeParts(folder, [intention.signed]);
  }
}

async function propose(member: MemberHome, intention: Intention, file: string): Promise<ProposedUpdate> {
  const { admin, context, folder } = member;
  const prepared = await prepareUpdate(context, changeFor(member, intention));
  if (prepared === undefined) {
    throw new NetworkError('ORGANISATION_CONFLICT', 'the channel is like this already: there is nothing to propose');
  }
  const { envelope, baseSequence } = await signUpdate(admin, prepared);
  const { channel } = context;
  await keepPart(folder, intention);
  await writeUpdateFile(file, {
    kind: 'sev-channel-update',
    channel,
    intention,
    baseSequence,
    envelope: envelope.toString('base64'),
  });
  return { file: resolve(file), ...(await describe(folder, intention)), signers: [admin.member.organisation.mspId] };
}

/**
 * Proposes to put an organisation into the running channel, or, once it is in, to make its orderer a consenter: one
 * change each, because consenters change one at a time. Signed by the proposer.
 *
 * @param file for the proposed change, which the others sign
 * @throws NetworkError PART_INVALID, ORGANISATION_CONFLICT, ORGANISATION_UNKNOWN, NETWORK_NOT_RUNNING, PROGRAM_FAILED
 */
export async function proposeAddition(
  partFile: string,
  file: string,
  { withOrderer = false, ...options }: NetworkOptions & { readonly withOrderer?: boolean } = {},
): Promise<ProposedUpdate> {
  const signed = await readSignedPart(partFile);
  const member = await openMember(options);
  return propose(member, { kind: withOrderer ? 'add-orderer' : 'add', signed }, file);
}

/**
 * Proposes to give the orderer of this home's organisation other certificates, those of a part that it signed.
 * @throws NetworkError PART_INVALID, ORGANISATION_CONFLICT, NETWORK_NOT_RUNNING, PROGRAM_FAILED
 */
export async function proposeOrdererRotation(
  signed: SignedPart,
  file: string,
  options: NetworkOptions = {},
): Promise<ProposedUpdate> {
  return propose(await openMember(options), { kind: 'rotate-orderer', signed }, file);
}

/**
 * Proposes to take an organisation out of the channel, its orderer too. Governance on the ledger has to have removed it
 * before: whoever calls this checks that.
 *
 * @param organisation name or MSP id
 * @throws NetworkError ORGANISATION_UNKNOWN, FAULT_TOLERANCE, NETWORK_NOT_RUNNING, PROGRAM_FAILED
 */
export async function proposeRemoval(
  organisation: string,
  file: string,
  { acceptNoFaultTolerance = false, ...options }: RemovalOptions = {},
): Promise<ProposedUpdate> {
  const member = await openMember(options);
  const { config } = await fetchChannelConfig(member.context);
  const mspId = await mspIdOf(member.folder, config, organisation);
  return propose(member, { kind: 'remove', mspId, acceptNoFaultTolerance }, file);
}

/**
 * Whether the channel could do without an organisation, before anything else is done about it.
 * @returns its MSP id
 * @throws NetworkError ORGANISATION_UNKNOWN, FAULT_TOLERANCE
 */
export async function checkRemovable(
  organisation: string,
  { acceptNoFaultTolerance = false, ...options }: RemovalOptions = {},
): Promise<string> {
  const { context, folder } = await openMember(options);
  const { config } = await fetchChannelConfig(context);
  const mspId = await mspIdOf(folder, config, organisation);
  const without = removeOrganisation(structuredClone(config), mspId);
  if (!acceptNoFaultTolerance) {
    checkFaultTolerance(config, without);
  }
  return mspId;
}

/**
 * Checks that a proposed change does what it says it does and nothing else: works it out from the channel's newest
 * configuration and compares.
 * @returns who has signed it so far
 * @throws NetworkError UPDATE_INVALID
 */
async function checkProposal(member: MemberHome, update: UpdateFile): Promise<readonly string[]> {
  const { context, home } = member;
  if (update.channel !== context.channel) {
    throw new NetworkError('UPDATE_INVALID', `the change is of channel ${update.channel}, not ${context.channel}`);
  }
  const { sequence } = await fetchChannelConfig(context);
  if (sequence !== update.baseSequence) {
    throw new NetworkError(
      'UPDATE_INVALID',
      `the channel's configuration has changed since this was proposed (${update.baseSequence.toString()}, now ${sequence.toString()}); propose it again`,
    );
  }
  const meant = await prepareUpdate(context, changeFor(member, update.intention));
  const proposed = await readEnvelope(home.programs, Buffer.from(update.envelope, 'base64'));
  const own = meant === undefined ? undefined : await readEnvelope(home.programs, meant.envelope);
  if (own === undefined || JSON.stringify(own.change) !== JSON.stringify(proposed.change)) {
    throw new NetworkError('UPDATE_INVALID', 'the change in the file is not the one it says it is; do not sign it');
  }
  return proposed.signers;
}

/**
 * Signs a proposed change for this home's organisation, in its file, after having checked that it is what it says.
 * @throws NetworkError UPDATE_INVALID, NETWORK_NOT_RUNNING, PROGRAM_FAILED
 */
export async function signProposal(file: string, options: NetworkOptions = {}): Promise<ProposedUpdate> {
  const update = await readUpdateFile(file);
  const member = await openMember(options);
  const { admin, folder } = member;
  const { mspId } = admin.member.organisation;
  const signers = await checkProposal(member, update);
  if (!signers.includes(mspId)) {
    const prepared = { baseSequence: update.baseSequence, envelope: Buffer.from(update.envelope, 'base64') };
    const { envelope } = await signUpdate(admin, prepared);
    await writeUpdateFile(file, { ...update, envelope: envelope.toString('base64') });
  }
  await keepPart(folder, update.intention);
  return {
    file: resolve(file),
    ...(await describe(folder, update.intention)),
    signers: [...new Set([...signers, mspId])].sort(),
  };
}

/**
 * Submits a proposed change that a majority of organisations has signed, and waits for its block. The home's own view of
 * the channel follows.
 * @throws NetworkError UPDATE_INVALID, PROGRAM_FAILED where signatures are missing, CONFIG_NOT_COMMITTED
 */
export async function submitProposal(file: string, options: NetworkOptions = {}): Promise<ProposedUpdate> {
  const update = await readUpdateFile(file);
  const member = await openMember(options);
  const { context, folder } = member;
  const description = await describe(folder, update.intention);
  const signers = await checkProposal(member, update);
  await keepPart(folder, update.intention);
  options.onProgress?.('waiting for the new configuration');
  const { baseSequence } = update;
  await submitUpdate(context, { baseSequence, envelope: Buffer.from(update.envelope, 'base64') });
  await followChannel(member);
  return { file: resolve(file), ...description, signers };
}
