// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import { channelConfigSchema, type ChannelConfig } from './config-document.js';
import type { FabricPrograms } from './programs.js';
import { runProgram } from './run-program.js';

/** Runs something with file names in a temporary folder. */
export async function inTemporaryFolder<T>(work: (file: (name: string) => string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sev-config-'));
  try {
    return await work((name) => join(folder, name));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * A message in the JSON form of `configtxlator`, messages within it included.
 * @param type `common.Block`, `common.Envelope`, …
 * @throws NetworkError PROGRAM_FAILED
 */
export async function decodeMessage(programs: FabricPrograms, type: string, bytes: Uint8Array): Promise<unknown> {
  // The program writes to files only: to a pipe, which is a socket under Node, it cannot write through /dev/stdout.
  return inTemporaryFolder(async (file) => {
    await writeFile(file('message.pb'), bytes);
    const files = ['--input', file('message.pb'), '--output', file('message.json')];
    await runProgram(programs.configtxlator, ['proto_decode', '--type', type, ...files]);
    return JSON.parse(await readFile(file('message.json'), 'utf8')) as unknown;
  });
}

const blockSchema = z.object({
  data: z.object({
    data: z
      .array(
        z.object({
          payload: z.object({
            header: z.object({ channel_header: z.object({ channel_id: z.string() }) }),
            data: z.object({ config: z.object({ channel_group: channelConfigSchema }) }),
          }),
        }),
      )
      .length(1),
  }),
});

/** What a configuration block says. */
export interface ConfigBlock {
  readonly channel: string;
  readonly config: ChannelConfig;
}

/** Reads a configuration block, the genesis block too. @throws NetworkError BUNDLE_INVALID where it is none */
export async function readConfigBlock(programs: FabricPrograms, bytes: Uint8Array): Promise<ConfigBlock> {
  let document: unknown;
  try {
    document = await decodeMessage(programs, 'common.Block', bytes);
  } catch (error) {
    throw new NetworkError('BUNDLE_INVALID', 'a configuration block cannot be read', { cause: error });
  }
  const parsed = blockSchema.safeParse(document);
  const envelope = parsed.success ? parsed.data.data.data[0] : undefined;
  if (envelope === undefined) {
    throw new NetworkError('BUNDLE_INVALID', 'a block that should hold a configuration holds none');
  }
  const { header, data } = envelope.payload;
  return { channel: header.channel_header.channel_id, config: data.config.channel_group };
}
