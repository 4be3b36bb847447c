// SPDX-License-Identifier: Apache-2.0
import { common } from '@hyperledger/fabric-protos';
import { readFile } from 'node:fs/promises';
import { required } from '../embedded/protocol/block.js';
import { NetworkError } from '../errors.js';
import { controlNetwork } from '../supervisor/control.js';
import type { NetworkOptions } from '../supervisor/options.js';
import { poll } from '../supervisor/poll.js';
import type { OrganisationAdmin } from './admin.js';
import { prepareChaincode } from './chaincode-deployment.js';
import { packageChaincode } from './chaincode-package.js';
import { channelHeight } from './channel.js';
import { inTemporaryFolder } from './configtxlator.js';
import { awaitGateway } from './gateway-probe.js';
import { endorserArguments, openFabricHome, profileOf, type FabricHome } from './home.js';
import {
  approvalsOf,
  approveDefinition,
  approvedPackage,
  commitDefinition,
  committedDefinition,
  installPackage,
  type ChaincodeDefinition,
} from './lifecycle.js';
import { answers, readOrderers, type KnownOrderers } from './orderers.js';

/** How long one organisation waits for the others where it is not told otherwise. */
const WAIT_MS = 120_000;

/** Waits for something that others have to do, and says what it waits for. */
class Waiting {
  readonly #end: number;
  readonly #progress: (message: string) => void;

  constructor(waitMs: number, progress: (message: string) => void) {
    this.#end = Date.now() + waitMs;
    this.#progress = progress;
  }

  /**
   * @param question answers with the value, or with what is still missing, in words
   * @returns the value, or what was still missing at the deadline
   */
  async for<T extends object>(question: () => Promise<T | string>): Promise<T | string> {
    let said = '';
    const value = await poll(async () => {
      const answer = await question();
      if (typeof answer !== 'string') {
        return answer;
      }
      if (answer !== said) {
        this.#progress(answer);
        said = answer;
      }
      return undefined;
    }, this.#end - Date.now());
    return value ?? said;
  }
}

const LATER = 'the nodes here keep running; run `network up` again when the others are up';

/** What one of Fabric's programs said; anything else is not for waiting. */
function reasonOf(error: unknown): string {
  if (error instanceof NetworkError && error.code === 'PROGRAM_FAILED') {
    return error.message;
  }
  throw error;
}

async function awaitOrdering(known: KnownOrderers, waiting: Waiting): Promise<void> {
  const { quorum, orderers } = known;
  const outcome = await waiting.for(async () => {
    const states = await Promise.all(
      orderers.map(async ({ mspId, address }) => ({ mspId, up: await answers(address) })),
    );
    const up = states.filter((state) => state.up).length;
    const missing = states.filter((state) => !state.up).map(({ mspId }) => mspId);
    return up >= quorum
      ? { up }
      : `waiting for orderers: ${up.toString()} of ${orderers.length.toString()} answer, ${quorum.toString()} are needed; not yet ${missing.join(', ')}`;
  });
  if (typeof outcome === 'string') {
    throw new NetworkError('ORDERERS_MISSING', `${outcome}; ${LATER}`);
  }
}

/** Number of the newest block that an orderer has. */
async function newestBlock(admin: OrganisationAdmin, channel: string): Promise<number> {
  return inTemporaryFolder(async (file) => {
    await admin.ordered(['channel', 'fetch', 'newest', file('newest.block'), '--channelID', channel]);
    const block = common.Block.deserializeBinary(await readFile(file('newest.block')));
    return required(block.getHeader(), 'block header').getNumber();
  });
}

/** A peer that is behind would take a chaincode for missing that the others have long had. */
async function awaitCaughtUp(admin: OrganisationAdmin, channel: string, waiting: Waiting): Promise<void> {
  const operations = admin.member.ports.peerOperations ?? 0;
  let newest: number | undefined;
  const outcome = await waiting.for(async () => {
    try {
      newest ??= await newestBlock(admin, channel);
    } catch (error) {
      return `waiting for the channel's blocks: ${reasonOf(error)}`;
    }
    const height = (await channelHeight(operations, channel)) ?? 0;
    return height > newest
      ? { height }
      : `waiting for the channel's blocks: ${height.toString()} of ${(newest + 1).toString()}`;
  });
  if (typeof outcome === 'string') {
    throw new NetworkError('ORDERERS_MISSING', `${outcome}; ${LATER}`);
  }
}

/** What this organisation is to approve: what the channel has committed to, else the topology's chaincode as the first. */
function definitionFor(
  { topology }: FabricHome,
  committed: { readonly version: string; readonly sequence: number } | undefined,
): ChaincodeDefinition {
  const { channel, chaincode } = topology;
  if (committed !== undefined && committed.version !== chaincode.version) {
    throw new NetworkError(
      'CHAINCODE_INVALID',
      `the channel has ${chaincode.name} ${committed.version} and ${topology.file} names ${chaincode.version}; take the code of version ${committed.version} and name it there`,
    );
  }
  return { channel, name: chaincode.name, version: chaincode.version, sequence: committed?.sequence ?? 1 };
}

/** Starts the organisation's process of the topology's chaincode, installs and approves it for the organisation. */
async function approveOwn(
  home: FabricHome,
  admin: OrganisationAdmin,
  definition: ChaincodeDefinition,
  waiting: Waiting,
  progress: (message: string) => void,
): Promise<void> {
  const { chaincode } = home.topology;
  const built = await packageChaincode(chaincode.path, chaincode.name, chaincode.version);
  progress(`installing ${built.packageId}`);
  await prepareChaincode(admin.member, chaincode, built);
  await controlNetwork(home.paths, { action: 'chaincodes' });
  await installPackage(admin, built);
  const outcome = await waiting.for(async () => {
    try {
      await approveDefinition(admin, definition, built.packageId);
      return {};
    } catch (error) {
      return `the approval is not through yet: ${reasonOf(error)}`;
    }
  });
  if (typeof outcome === 'string') {
    throw new NetworkError('ORDERERS_MISSING', `${outcome}; ${LATER}`);
  }
}

/** @returns an object once the definition is committed, else who has not approved it */
async function commitOnMajority(
  home: FabricHome,
  admin: OrganisationAdmin,
  definition: ChaincodeDefinition,
): Promise<object | string> {
  if (((await committedDefinition(admin, definition))?.sequence ?? 0) >= definition.sequence) {
    return {};
  }
  const approvals = Object.entries(await approvalsOf(admin, definition));
  const given = approvals.filter(([, isGiven]) => isGiven).map(([mspId]) => mspId);
  if (given.length * 2 <= approvals.length) {
    const missing = approvals.filter(([, isGiven]) => !isGiven).map(([mspId]) => mspId);
    return `${definition.name} ${definition.version} is approved by ${given.length.toString()} of ${approvals.length.toString()}, a majority is needed; not yet ${missing.join(', ')}`;
  }
  const profile = await profileOf(home);
  const organisations = profile.organisations.filter(({ mspId }) => given.includes(mspId));
  await commitDefinition(admin, definition, await endorserArguments(home.paths, { ...profile, organisations }));
  return {};
}

/** Commits a definition as soon as a majority has approved it, unless another organisation does. */
async function commitTogether(
  home: FabricHome,
  admin: OrganisationAdmin,
  definition: ChaincodeDefinition,
  waiting: Waiting,
): Promise<void> {
  const outcome = await waiting.for(async () => {
    try {
      return await commitOnMajority(home, admin, definition);
    } catch (error) {
      // Several commit at the same time, and one comes first; or a peer does not know of all approvals yet.
      return `the commit is not through yet: ${reasonOf(error)}`;
    }
  });
  if (typeof outcome === 'string') {
    throw new NetworkError('APPROVALS_MISSING', `${outcome}; ${LATER}`);
  }
}

/**
 * Whether the organisation has ever approved the chaincode, up to a sequence. One that has and is behind upgrades when its
 * operator says so: only its operator has the code.
 */
async function hasApproved(
  admin: OrganisationAdmin,
  chaincode: Pick<ChaincodeDefinition, 'channel' | 'name'>,
  sequence: number,
): Promise<boolean> {
  for (let earlier = sequence; earlier > 0; earlier -= 1) {
    if ((await approvedPackage(admin, { ...chaincode, sequence: earlier })) !== undefined) {
      return true;
    }
  }
  return false;
}

/**
 * Does an organisation's part of a channel that it shares with others, once its nodes run: waits for the ordering
 * service, approves the topology's chaincode, commits it with the others. Every step looks first whether it is done.
 * Nothing for a home that runs the whole network.
 *
 * @throws NetworkError ORDERERS_MISSING, APPROVALS_MISSING naming who is waited for; CHAINCODE_INVALID; PROGRAM_FAILED
 */
export async function takePart(options: NetworkOptions = {}): Promise<void> {
  const progress = options.onProgress ?? (() => undefined);
  const home = await openFabricHome(options);
  const known = await readOrderers(home.paths);
  const [admin] = home.admins;
  if (known === undefined || admin === undefined) {
    return;
  }
  const { channel, chaincode } = home.topology;
  const waiting = new Waiting(options.waitMs ?? WAIT_MS, progress);
  await awaitOrdering(known, waiting);
  await awaitCaughtUp(admin, channel, waiting);
  const committed = await committedDefinition(admin, { channel, name: chaincode.name });
  if (committed === undefined || !(await hasApproved(admin, { channel, name: chaincode.name }, committed.sequence))) {
    const definition = definitionFor(home, committed);
    await approveOwn(home, admin, definition, waiting, progress);
    await commitTogether(home, admin, definition, waiting);
  }
  progress('waiting until the gateway reaches a majority');
  await awaitGateway(admin.member, channel, chaincode.name);
}
