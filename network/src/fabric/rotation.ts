// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { NetworkError } from '../errors.js';
import { controlNetwork } from '../supervisor/control.js';
import { asOnlyCommand, type NetworkOptions } from '../supervisor/options.js';
import { poll } from '../supervisor/poll.js';
import type { OrganisationAdmin } from './admin.js';
import { ordererState } from './orderer-state.js';
import { installedChaincodes, writeConnection } from './chaincode-deployment.js';
import { withConsenterCertificates } from './config-consenters.js';
import { groupAt, type ChannelConfig } from './config-document.js';
import { channelContext, fetchChannelConfig, updateChannel } from './config-update.js';
import { ensureOrdererIdentities, ensureTls, renewPeerIdentities } from './enrolment.js';
import { awaitGateway, orderBlocks } from './gateway-probe.js';
import { adminOf, openFabricHome, type FabricHome } from './home.js';
import { mspFiles, tlsFiles, type Member } from './layout.js';
import { ordererView } from './orderer-view.js';
import { ownPart } from './organisation-home.js';
import { removeBuilds } from './peer-data.js';
import { proposeOrdererRotation, type ProposedUpdate } from './proposals.js';

const ORDERER_DEADLINE_MS = 60_000;
/** Longer than followers wait for a leader's heartbeat. */
const SETTLED_MS = 6_000;
/** Between two looks at the orderers' heights: an orderer may be behind while a block is on its way to it. */
const LOOK_INTERVAL_MS = 1_000;
/** The first message to an orderer that was started again is lost, so it may miss a block; not one of several. */
const BLOCKS_TO_SETTLE = 3;
const SETTLE_DEADLINE_MS = 25_000;

type Progress = (message: string) => void;

/** Where an orderer's next certificates wait until the channel knows them. */
function nextIdentities({ layout }: Member): { root: string; msp: string; tls: string } {
  const root = join(layout.orderer.root, 'next');
  return { root, msp: join(root, 'msp'), tls: join(root, 'tls') };
}

/** New certificate for the CA server's TLS: it makes one at its start where it has none. The root stays. */
async function rotateCaServer(home: FabricHome, { layout, organisation }: Member): Promise<void> {
  await rm(join(layout.ca, 'tls-cert.pem'), { force: true });
  await controlNetwork(home.paths, { action: 'restart', nodes: [`ca.${organisation.name}`] });
}

/**
 * Administrator, peer and chaincode processes. Others know these by the CA's roots only, so no configuration changes.
 * A peer keeps what its builder made of a package, with the TLS pair it had then: that is made anew too.
 */
async function rotatePeer(home: FabricHome, member: Member): Promise<void> {
  const { organisation, layout } = member;
  const { topology, paths } = home;
  await renewPeerIdentities(member);
  const installed = await installedChaincodes(member);
  for (const chaincode of installed) {
    await ensureTls(member, chaincode.folder, 'peer', true);
    await writeConnection(member, chaincode);
  }
  await removeBuilds(layout.peer);
  const processes = installed.map(({ label }) => `chaincode.${organisation.name}.${label}`);
  await controlNetwork(paths, { action: 'restart', nodes: [...processes, `peer.${organisation.name}`] });
  await awaitGateway(member, topology.channel, topology.chaincode.name);
}

async function awaitOrderer(
  admin: OrganisationAdmin,
  channel: string,
  height: number,
  isThere: (relation: string) => boolean,
): Promise<boolean> {
  const arrived = await poll(async () => {
    const state = await ordererState(admin, channel);
    return state !== undefined && state.height >= height && isThere(state.consensusRelation) ? true : undefined;
  }, ORDERER_DEADLINE_MS);
  return arrived ?? false;
}

/** Puts an orderer's next certificates in the place of those it ran with; goes on where it was cut short. */
async function installNext(member: Member): Promise<void> {
  const next = nextIdentities(member);
  for (const [from, to] of [
    [next.msp, member.layout.orderer.msp],
    [next.tls, member.layout.orderer.tls],
  ] as const) {
    if (existsSync(from)) {
      await rm(to, { recursive: true, force: true });
      await rename(from, to);
    }
  }
  await rm(next.root, { recursive: true, force: true });
}

/** The change that gives an orderer its next certificates. */
async function changeToNext(member: Member): Promise<(config: ChannelConfig) => ChannelConfig> {
  const { organisation, ports } = member;
  const next = nextIdentities(member);
  const certificates = {
    identityCert: await readFile(mspFiles(next.msp).certificate, 'utf8'),
    tlsCert: await readFile(tlsFiles(next.tls).certificate, 'utf8'),
  };
  const address = { host: organisation.host, port: ports.orderer ?? 0 };
  return (config) => withConsenterCertificates(config, address, certificates);
}

/** Whether the administrators of this home are the majority that has to sign. */
function canSign(home: FabricHome, config: ChannelConfig): boolean {
  const organisations = Object.keys(groupAt(config, 'Orderer').groups ?? {});
  const own = home.members.filter(({ organisation }) => organisations.includes(organisation.mspId));
  return own.length * 2 > organisations.length;
}

/**
 * Has the channel know an orderer's next certificates.
 * @returns a proposal, where others have to sign it first
 */
async function announceNext(
  home: FabricHome,
  member: Member,
  options: RotationOptions,
): Promise<ProposedUpdate | undefined> {
  const context = channelContext(home, member.organisation.name);
  const change = await changeToNext(member);
  const { config } = await fetchChannelConfig(context);
  if (isDeepStrictEqual(change(structuredClone(config)), config)) {
    return undefined;
  }
  if (canSign(home, config)) {
    await updateChannel(context, change, home.admins);
    return undefined;
  }
  const { msp, tls } = nextIdentities(member);
  const { layout } = member;
  const signed = await ownPart({ ...member, layout: { ...layout, orderer: { ...layout.orderer, msp, tls } } });
  const file = options.proposal ?? join(home.paths.home, `rotate-${member.organisation.name}.json`);
  return proposeOrdererRotation(signed, file, options);
}

/**
 * An orderer's certificates stand in the channel's configuration. The channel is told of the new ones first; the orderer,
 * which the others no longer know, is started with them at once. Meanwhile one orderer is missing, as if it were dead.
 */
async function rotateOrderer(
  home: FabricHome,
  member: Member,
  options: RotationOptions,
): Promise<ProposedUpdate | undefined> {
  const { name } = member.organisation;
  const admin = adminOf(home, name);
  const context = channelContext(home, name);
  const next = nextIdentities(member);
  const isPartlyInstalled = existsSync(next.root) && !existsSync(next.msp);
  if (!isPartlyInstalled) {
    await ensureOrdererIdentities(member, next);
    const proposal = await announceNext(home, member, options);
    if (proposal !== undefined) {
      return proposal;
    }
  }
  const { blockNumber } = await fetchChannelConfig(context);
  // It has to know its new certificates before it starts with them. One that is down learns of them from the others.
  await awaitOrderer(admin, context.channel, blockNumber + 1, () => true);
  await installNext(member);
  await controlNetwork(home.paths, { action: 'restart', nodes: [`orderer.${name}`] });
  if (!(await awaitOrderer(admin, context.channel, blockNumber + 1, (relation) => relation === 'consenter'))) {
    throw doesNotTakePart(name);
  }
  await awaitSettled(home, member);
  return undefined;
}

const doesNotTakePart = (organisation: string): NetworkError =>
  new NetworkError(
    'NETWORK_START_FAILED',
    `orderer.${organisation} does not take part again after ${(ORDERER_DEADLINE_MS / 1000).toString()} s; see its log before another one is touched`,
  );

/** The home's organisations whose orderers are down, ask for another leader, or had less a while ago than others before. */
async function unsettled(withOrderer: readonly Member[], channel: string, least: number) {
  const views = await Promise.all(withOrderer.map((member) => ordererView(member, channel)));
  const waiting = withOrderer.filter((_, index) => {
    const view = views[index];
    return view?.isSettled !== true || view.height < least;
  });
  return { waiting, height: Math.max(...views.map((view) => view?.height ?? 0)) };
}

/** Waits until all orderers of the home have been of one mind for so long that a missing leader would have been noticed. */
async function pollSettled({ members, topology }: FabricHome): Promise<readonly Member[]> {
  const withOrderer = members.filter(({ organisation }) => organisation.orderer !== undefined);
  const end = Date.now() + SETTLE_DEADLINE_MS;
  let since = Date.now();
  let least = 0;
  for (;;) {
    const { waiting, height } = await unsettled(withOrderer, topology.channel, least);
    least = height;
    if (waiting.length > 0) {
      since = Date.now();
    }
    if (Date.now() - since >= SETTLED_MS || Date.now() >= end) {
      return waiting;
    }
    await pause(LOOK_INTERVAL_MS);
  }
}

/**
 * Waits until no orderer of the home is out of the ordering: the next one to be touched must not be a second one that is
 * missing. One that got out of step is started again, which brings it back.
 */
async function awaitSettled(home: FabricHome, member: Member): Promise<void> {
  const { channel } = home.topology;
  await orderBlocks(member, channel, BLOCKS_TO_SETTLE);
  const nodes = (await pollSettled(home)).map(({ organisation }) => `orderer.${organisation.name}`);
  if (nodes.length > 0) {
    await controlNetwork(home.paths, { action: 'restart', nodes });
    await orderBlocks(member, channel, BLOCKS_TO_SETTLE);
    const [first] = await pollSettled(home);
    if (first !== undefined) {
      throw doesNotTakePart(first.organisation.name);
    }
  }
}

/** Followers first: each leader that is started again costs a change of leader, and the next might be the next one here. */
async function inTurn(home: FabricHome, members: readonly Member[]): Promise<Member[]> {
  const views = await Promise.all(members.map((member) => ordererView(member, home.topology.channel)));
  const isLeader = (index: number): boolean => views[index]?.isLeader === true;
  return [...members.filter((_, index) => !isLeader(index)), ...members.filter((_, index) => isLeader(index))];
}

export interface RotationOptions extends NetworkOptions {
  /** File for a change that other organisations have to sign; default: in the home. */
  readonly proposal?: string | undefined;
}

/** What came of a rotation. */
export interface RotationResult {
  /** Organisations whose nodes all have new certificates. */
  readonly organisations: readonly string[];
  /** A change of the channel that others have to sign and that is then submitted; the rotation goes on after it. */
  readonly proposal?: ProposedUpdate;
}

/**
 * Gives the nodes of organisations new keys and certificates, one node after the other, while the network goes on:
 * the CA server's TLS, the administrator, the peer, its chaincode processes, the orderer. The CAs' roots stay. One that
 * was cut short, or that waits for signatures, goes on when it is done again.
 *
 * @param organisations names; default: all whose nodes run from this home
 * @throws NetworkError ORGANISATION_UNKNOWN; NETWORK_NOT_RUNNING; PROGRAM_FAILED; CONFIG_NOT_COMMITTED; NETWORK_START_FAILED
 */
export async function rotateNodes(
  organisations: readonly string[] = [],
  options: RotationOptions = {},
): Promise<RotationResult> {
  const progress: Progress = options.onProgress ?? (() => undefined);
  return asOnlyCommand(options, async () => {
    const home = await openFabricHome(options);
    const members =
      organisations.length === 0
        ? home.members
        : organisations.map((organisation) => adminOf(home, organisation).member);
    for (const member of members) {
      // Where an orderer's next certificates wait, the others were replaced before.
      if (!existsSync(nextIdentities(member).root)) {
        progress(`${member.organisation.name}: new certificates for CA server, administrator, peer and chaincode`);
        await rotateCaServer(home, member);
        await rotatePeer(home, member);
      }
    }
    const withOrderer = members.filter(({ organisation }) => organisation.orderer !== undefined);
    const [first] = withOrderer;
    if (first !== undefined) {
      await awaitSettled(home, first);
    }
    for (const member of await inTurn(home, withOrderer)) {
      progress(`${member.organisation.name}: new certificates for the orderer`);
      const proposal = await rotateOrderer(home, member, options);
      if (proposal !== undefined) {
        return { organisations: [], proposal };
      }
    }
    return { organisations: members.map(({ organisation }) => organisation.name) };
  });
}
