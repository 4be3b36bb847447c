// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { NETWORK_ERROR_CODES, systemErrorCode, type NetworkErrorCode } from '../errors.js';
import { formatJson, readJson } from './json.js';
import type { NetworkPaths } from './paths.js';
import { isAlive } from './process.js';

const processSchema = z.object({
  pid: z.int().positive(),
  startTime: z.string(),
  /** What it is doing on its way up. */
  phase: z.string().optional(),
  /** Where the process answers for its status, once it is ready; the token keeps other users of the machine out. */
  status: z.object({ url: z.url(), token: z.string() }).optional(),
});

/** What the background process tells of itself. */
export type BackgroundProcess = Readonly<z.infer<typeof processSchema>>;

const failureSchema = z.object({
  pid: z.int(),
  code: z.string().refine((code): code is NetworkErrorCode => code in NETWORK_ERROR_CODES),
  message: z.string(),
});

/** Why a background process ended before it was ready. */
export type StartFailure = Readonly<z.infer<typeof failureSchema>>;

const statusSchema = z.object({
  height: z.int(),
  genesisHash: z.string(),
  startedAtMs: z.int(),
  chaincode: z.array(z.object({ mspId: z.string(), pid: z.int().optional(), running: z.boolean() })),
  /** Processes of a native network. */
  nodes: z.array(
    z.object({
      name: z.string(),
      kind: z.enum(['ca', 'orderer', 'peer', 'chaincode']),
      organisation: z.string(),
      address: z.string(),
      pid: z.int().optional(),
      running: z.boolean(),
      restarts: z.int(),
      log: z.string(),
    }),
  ),
});

/** What a running network answers when it is asked for its status. */
export type LiveStatus = Readonly<z.infer<typeof statusSchema>>;

export async function writeProcess(paths: NetworkPaths, background: BackgroundProcess): Promise<void> {
  await writeFileAtomic(paths.processFile, formatJson(background), 0o600);
}

/** The background process as it was last written down, whether it lives or not. */
export async function readProcess(paths: NetworkPaths): Promise<BackgroundProcess | undefined> {
  return readJson(paths.processFile, processSchema);
}

/** The background process, if it lives. */
export async function livingProcess(paths: NetworkPaths): Promise<BackgroundProcess | undefined> {
  const background = await readProcess(paths);
  return background !== undefined && isAlive(background) ? background : undefined;
}

export async function writeFailure(paths: NetworkPaths, failure: StartFailure): Promise<void> {
  await writeFileAtomic(paths.failureFile, formatJson(failure));
}

export async function readFailure(paths: NetworkPaths): Promise<StartFailure | undefined> {
  return readJson(paths.failureFile, failureSchema);
}

async function askStatus(status: NonNullable<BackgroundProcess['status']>): Promise<LiveStatus> {
  const response = await fetch(status.url, {
    headers: { authorization: `Bearer ${status.token}` },
    signal: AbortSignal.timeout(5_000),
  });
  if (!response.ok) {
    throw new Error(`the network answered ${response.status.toString()} when asked for its status`);
  }
  return statusSchema.parse(await response.json());
}

/** What came of asking a background process for its status; neither when there is none. */
export interface ProbeResult {
  readonly live?: LiveStatus;
  /** Why a process that lives gave no status. */
  readonly problem?: string;
}

/** What `fetch` hides: its own message says no more than that it failed. */
function reasonOf(error: unknown): string {
  const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  const code = systemErrorCode(cause);
  if (code === 'ECONNREFUSED') {
    return 'it takes no connections; it may be ending';
  }
  return code ?? (cause instanceof Error ? cause.message : String(cause));
}

/** Asks a background process, which may be starting, ending or gone, for its status. */
export async function probe(background: BackgroundProcess | undefined): Promise<ProbeResult> {
  if (background === undefined) {
    return {};
  }
  if (background.status === undefined) {
    return { problem: 'it is starting or stopping' };
  }
  try {
    return { live: await askStatus(background.status) };
  } catch (error) {
    return isAlive(background) ? { problem: `it does not answer: ${reasonOf(error)}` } : {};
  }
}
