// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { common } from '@hyperledger/fabric-protos';
import { z } from 'zod';
import { required } from '../embedded/protocol/block.js';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import type { OrdererTarget, OrganisationAdmin } from './admin.js';
import { broadcast, signedEnvelope } from './broadcast.js';
import { channelConfigSchema, type ChannelConfig } from './config-document.js';
import { adminOf, type FabricHome } from './home.js';
import type { FabricPrograms } from './programs.js';
import { runProgram } from './run-program.js';

const COMMIT_DEADLINE_MS = 30_000;
/** Somebody else's update that comes first makes ours outdated: it is made again, from the newer configuration. */
const MAX_ATTEMPTS = 4;

/** Where a channel's configuration is read and changed. */
export interface ChannelContext {
  readonly programs: FabricPrograms;
  readonly channel: string;
  /** Fetches from its own peer and its orderer target, and signs what is submitted. */
  readonly admin: OrganisationAdmin;
  /** The channel's orderers: what is submitted goes to all of them. */
  readonly orderers: readonly OrdererTarget[];
  /** Administrators whose peers have to have a new configuration before it counts as done; default: `admin` alone. */
  readonly observers?: readonly OrganisationAdmin[];
}

/**
 * A change of a configuration: it is given a copy and returns what shall be. It has no other effect, and none on a
 * configuration that it made itself.
 */
export type ConfigChange = (config: ChannelConfig) => ChannelConfig | Promise<ChannelConfig>;

/** A change that is asked for, as its envelope is handed from organisation to organisation to be signed. */
export interface PreparedUpdate {
  /** Sequence number of the configuration that it changes; the new one has the next. */
  readonly baseSequence: number;
  /** `common.Envelope` with a `CONFIG_UPDATE`. */
  readonly envelope: Buffer;
}

/** A channel's configuration, its number (0 in the genesis block), and the number of the block that it stands in. */
export interface NumberedConfig {
  readonly sequence: number;
  readonly blockNumber: number;
  readonly config: ChannelConfig;
}

/** A home's view of its channel. @param organisation whose administrator submits; default: the home's first */
export function channelContext(home: FabricHome, organisation?: string): ChannelContext {
  const { programs, topology, admins, orderers } = home;
  const admin = adminOf(home, organisation);
  return { programs, channel: topology.channel, admin, orderers, observers: admins };
}

const configSchema = z.object({ channel_group: channelConfigSchema });

async function inTemporaryFolder<T>(work: (file: (name: string) => string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sev-config-'));
  try {
    return await work((name) => join(folder, name));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type FileNames = (name: string) => string;

// The program writes to files only: to a pipe, which is a socket under Node, it cannot write through /dev/stdout.
async function decode(programs: FabricPrograms, file: FileNames, type: string, bytes: Buffer): Promise<unknown> {
  const name = randomUUID();
  await writeFile(file(`${name}.pb`), bytes);
  const files = ['--input', file(`${name}.pb`), '--output', file(`${name}.json`)];
  await runProgram(programs.configtxlator, ['proto_decode', '--type', type, ...files]);
  return JSON.parse(await readFile(file(`${name}.json`), 'utf8'));
}

async function encode(programs: FabricPrograms, file: FileNames, type: string, document: unknown): Promise<Buffer> {
  const name = randomUUID();
  await writeFile(file(`${name}.json`), JSON.stringify(document));
  const files = ['--input', file(`${name}.json`), '--output', file(`${name}.pb`)];
  await runProgram(programs.configtxlator, ['proto_encode', '--type', type, ...files]);
  return readFile(file(`${name}.pb`));
}

/** The newest configuration block. */
async function fetchBlock(
  channel: string,
  run: (args: readonly string[]) => Promise<string>,
): Promise<{ blockNumber: number; config: common.Config }> {
  return inTemporaryFolder(async (file) => {
    await run(['channel', 'fetch', 'config', file('block.pb'), '--channelID', channel]);
    const block = common.Block.deserializeBinary(await readFile(file('block.pb')));
    const [data] = required(block.getData(), 'block data').getDataList_asU8();
    const envelope = common.Envelope.deserializeBinary(required(data, 'configuration transaction'));
    const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
    const config = common.ConfigEnvelope.deserializeBinary(payload.getData_asU8()).getConfig();
    return {
      blockNumber: required(block.getHeader(), 'block header').getNumber(),
      config: required(config, 'configuration'),
    };
  });
}

/**
 * The newest configuration of a channel that the organisation's own peer or its orderer has: either may be behind, or
 * down.
 * @throws NetworkError PROGRAM_FAILED where neither can be asked
 */
export async function fetchChannelConfig(context: ChannelContext): Promise<NumberedConfig> {
  const { programs, channel, admin } = context;
  const answers = await Promise.allSettled([
    fetchBlock(channel, (args) => admin.ordered(args)),
    fetchBlock(channel, (args) => admin.peer(args)),
  ]);
  const [newest] = answers
    .flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    .sort((one, other) => other.blockNumber - one.blockNumber);
  if (newest === undefined) {
    throw answers.find((answer) => answer.status === 'rejected')?.reason;
  }
  const { blockNumber, config } = newest;
  const bytes = Buffer.from(config.serializeBinary());
  const decoded = await inTemporaryFolder((file) => decode(programs, file, 'common.Config', bytes));
  return { sequence: config.getSequence(), blockNumber, config: configSchema.parse(decoded).channel_group };
}

/** Number of the newest configuration that an organisation's own peer has. @throws NetworkError PROGRAM_FAILED */
async function peerSequence({ channel }: ChannelContext, admin: OrganisationAdmin): Promise<number> {
  return (await fetchBlock(channel, (args) => admin.peer(args))).config.getSequence();
}

/**
 * Makes the update that leads from the newest configuration to a changed one.
 * @returns nothing where the configuration is so already
 */
export async function prepareUpdate(
  context: ChannelContext,
  change: ConfigChange,
): Promise<PreparedUpdate | undefined> {
  const { programs, channel } = context;
  const { sequence, config } = await fetchChannelConfig(context);
  const changed = await change(structuredClone(config));
  if (isDeepStrictEqual(changed, config)) {
    return undefined;
  }
  return inTemporaryFolder(async (file) => {
    const configOf = (group: ChannelConfig) => encode(programs, file, 'common.Config', { channel_group: group });
    await writeFile(file('old.pb'), await configOf(config));
    await writeFile(file('new.pb'), await configOf(changed));
    const files = ['--original', file('old.pb'), '--updated', file('new.pb'), '--output', file('update.pb')];
    await runProgram(programs.configtxlator, ['compute_update', '--channel_id', channel, ...files]);
    const update = await decode(programs, file, 'common.ConfigUpdate', await readFile(file('update.pb')));
    const envelope = {
      payload: {
        header: { channel_header: { channel_id: channel, type: 2 } },
        data: { config_update: update },
      },
    };
    return { baseSequence: sequence, envelope: await encode(programs, file, 'common.Envelope', envelope) };
  });
}

/** Adds an organisation's signature to an update. @returns the envelope with all signatures so far */
export async function signUpdate(admin: OrganisationAdmin, update: PreparedUpdate): Promise<PreparedUpdate> {
  return inTemporaryFolder(async (file) => {
    await writeFile(file('update.pb'), update.envelope);
    await admin.peer(['channel', 'signconfigtx', '--file', file('update.pb')]);
    return { ...update, envelope: await readFile(file('update.pb')) };
  });
}

async function awaitSequence(context: ChannelContext, sequence: number): Promise<boolean> {
  const { admin, observers = [admin] } = context;
  const arrived = await poll(async () => {
    const sequences = await Promise.all(observers.map((observer) => peerSequence(context, observer)));
    return sequences.every((seen) => seen >= sequence) ? true : undefined;
  }, COMMIT_DEADLINE_MS);
  return arrived ?? false;
}

/**
 * Submits an update that bears the other organisations' signatures, with that of the context's own administrator, and
 * waits until the observers' peers have the new configuration.
 * @throws NetworkError PROGRAM_FAILED where orderers refuse it; CONFIG_NOT_COMMITTED where it never comes
 */
export async function submitUpdate(context: ChannelContext, update: PreparedUpdate): Promise<void> {
  const { admin, channel, orderers } = context;
  const { envelope } = await signUpdate(admin, update);
  await broadcast(orderers, await signedEnvelope(admin.member, channel, envelope));
  // Orderers answer once they have taken the update, before there is a block with it.
  if (!(await awaitSequence(context, update.baseSequence + 1))) {
    throw new NetworkError(
      'CONFIG_NOT_COMMITTED',
      `the new configuration of ${context.channel} did not reach every peer within ${(COMMIT_DEADLINE_MS / 1000).toString()} s; run the command again, it goes on where it stood`,
    );
  }
}

/** Whether the channel holds what a change asks for. */
async function isDone(context: ChannelContext, change: ConfigChange): Promise<boolean> {
  const { config } = await fetchChannelConfig(context);
  return isDeepStrictEqual(await change(structuredClone(config)), config);
}

/**
 * Changes a channel's configuration: fetches the newest, has it changed, signs, submits, and waits for the block. Where
 * somebody else's update came first, it does so again from the newer configuration. A change that is there already
 * needs no update.
 *
 * @param signers administrators that sign besides `context.admin`, who signs as the submitter
 * @returns whether an update was needed
 * @throws NetworkError PROGRAM_FAILED where orderers refuse it (too few signatures, an outdated base); CONFIG_NOT_COMMITTED
 */
export async function updateChannel(
  context: ChannelContext,
  change: ConfigChange,
  signers: readonly OrganisationAdmin[] = [],
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    let update = await prepareUpdate(context, change);
    if (update === undefined) {
      return attempt > 1;
    }
    const { baseSequence } = update;
    for (const signer of signers.filter(({ member }) => member !== context.admin.member)) {
      update = await signUpdate(signer, update);
    }
    try {
      await submitUpdate(context, update);
    } catch (error) {
      const isOutdated = (await fetchChannelConfig(context)).sequence > baseSequence;
      if (!isOutdated || attempt === MAX_ATTEMPTS) {
        throw error;
      }
      continue;
    }
    // A block came; whether it was ours, the configuration tells.
    if (await isDone(context, change)) {
      return true;
    }
    if (attempt === MAX_ATTEMPTS) {
      throw new NetworkError(
        'CONFIG_NOT_COMMITTED',
        `other updates of ${context.channel} came first each time; run the command again`,
      );
    }
  }
}
