// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { NetworkError } from '../errors.js';
import { poll } from '../supervisor/poll.js';
import type { OrganisationAdmin } from './admin.js';
import type { ChaincodePackage } from './chaincode-package.js';

const APPROVALS_DEADLINE_MS = 20_000;

/** What organisations approve and the channel commits to. */
export interface ChaincodeDefinition {
  readonly channel: string;
  readonly name: string;
  readonly version: string;
  readonly sequence: number;
  /** Signature policy instead of the channel's majority of organisations. */
  readonly signaturePolicy?: string | undefined;
  /** File of private data collections. */
  readonly collections?: string | undefined;
}

const committedSchema = z.object({
  sequence: z.int(),
  version: z.string(),
  approvals: z.record(z.string(), z.boolean()).optional(),
});
/** A definition that the channel has committed to. */
export type CommittedDefinition = z.infer<typeof committedSchema>;

const approvedSchema = z.object({
  sequence: z.int(),
  version: z.string(),
  source: z
    .object({ Type: z.object({ LocalPackage: z.object({ package_id: z.string() }).optional() }).optional() })
    .optional(),
});

const readinessSchema = z.object({ approvals: z.record(z.string(), z.boolean()) });

const channelOf = ({ channel, name }: Pick<ChaincodeDefinition, 'channel' | 'name'>): string[] => [
  '--channelID',
  channel,
  '--name',
  name,
];

function definitionArguments(definition: ChaincodeDefinition): string[] {
  const { version, sequence, signaturePolicy, collections } = definition;
  return [
    ...channelOf(definition),
    '--version',
    version,
    '--sequence',
    sequence.toString(),
    ...(signaturePolicy === undefined ? [] : ['--signature-policy', signaturePolicy]),
    ...(collections === undefined ? [] : ['--collections-config', collections]),
  ];
}

/** Whether a program's refusal says one of these. */
function says(error: unknown, ...words: string[]): boolean {
  return error instanceof NetworkError && words.some((word) => error.message.includes(word));
}

/**
 * What a peer says that was built anew: that its organisation has approved is in the blocks, what it approved was private
 * data of this peer. It goes on running the package by its hash; the next definition is approved as ever.
 */
const LOST_APPROVAL = 'private data matching public hash version is not available';

/** Installs a package on the organisation's peer; harmless when it is there. */
export async function installPackage(admin: OrganisationAdmin, built: ChaincodePackage): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sev-install-'));
  try {
    const file = join(folder, 'chaincode.tgz');
    await writeFile(file, built.bytes);
    await admin.peer(['lifecycle', 'chaincode', 'install', file]);
  } catch (error) {
    if (!says(error, 'already successfully installed')) {
      throw error;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What a channel has committed to under a name. */
export async function committedDefinition(
  admin: OrganisationAdmin,
  chaincode: Pick<ChaincodeDefinition, 'channel' | 'name'>,
): Promise<CommittedDefinition | undefined> {
  try {
    const args = ['lifecycle', 'chaincode', 'querycommitted', ...channelOf(chaincode), '--output', 'json'];
    return committedSchema.parse(JSON.parse(await admin.peer(args)));
  } catch (error) {
    if (says(error, `namespace ${chaincode.name} is not defined`)) {
      return undefined;
    }
    throw error;
  }
}

/** The package id that the organisation approved a definition with, as far as its peer knows. */
export async function approvedPackage(
  admin: OrganisationAdmin,
  chaincode: Pick<ChaincodeDefinition, 'channel' | 'name' | 'sequence'>,
): Promise<string | undefined> {
  try {
    const args = [...channelOf(chaincode), '--sequence', chaincode.sequence.toString(), '--output', 'json'];
    const output = await admin.peer(['lifecycle', 'chaincode', 'queryapproved', ...args]);
    return approvedSchema.parse(JSON.parse(output)).source?.Type?.LocalPackage?.package_id;
  } catch (error) {
    if (says(error, 'could not fetch approved chaincode definition', LOST_APPROVAL)) {
      return undefined;
    }
    throw error;
  }
}

/** Approves a definition with a package for the organisation; harmless when it has done so. */
export async function approveDefinition(
  admin: OrganisationAdmin,
  definition: ChaincodeDefinition,
  packageId: string,
): Promise<void> {
  if ((await approvedPackage(admin, definition)) === packageId) {
    return;
  }
  try {
    await admin.ordered([
      'lifecycle',
      'chaincode',
      'approveformyorg',
      ...definitionArguments(definition),
      '--package-id',
      packageId,
    ]);
  } catch (error) {
    if (!says(error, 'attempted to redefine uncommitted sequence', LOST_APPROVAL)) {
      throw error;
    }
  }
}

/** Which organisations have approved a definition. */
export async function approvalsOf(
  admin: OrganisationAdmin,
  definition: ChaincodeDefinition,
): Promise<Readonly<Record<string, boolean>>> {
  const args = [...definitionArguments(definition), '--output', 'json'];
  const output = await admin.peer(['lifecycle', 'chaincode', 'checkcommitreadiness', ...args]);
  return readinessSchema.parse(JSON.parse(output)).approvals;
}

/**
 * Commits a definition once a majority has approved it; harmless when somebody has committed it.
 * @param endorsers arguments that name the peers to endorse, a majority's at least
 * @throws NetworkError APPROVALS_MISSING naming who has not approved
 */
export async function commitDefinition(
  admin: OrganisationAdmin,
  definition: ChaincodeDefinition,
  endorsers: readonly string[],
): Promise<void> {
  const isCommitted = async (): Promise<boolean> =>
    ((await committedDefinition(admin, definition))?.sequence ?? 0) >= definition.sequence;
  let approvals: Readonly<Record<string, boolean>> = {};
  const isReady = await poll(async () => {
    approvals = await approvalsOf(admin, definition);
    const given = Object.values(approvals);
    return given.filter(Boolean).length * 2 > given.length ? true : undefined;
  }, APPROVALS_DEADLINE_MS);
  if (isReady === undefined) {
    const missing = Object.entries(approvals).filter(([, isGiven]) => !isGiven);
    throw new NetworkError(
      'APPROVALS_MISSING',
      `${definition.name} ${definition.version} (sequence ${definition.sequence.toString()}) waits for a majority; not yet approved by ${missing.map(([mspId]) => mspId).join(', ')}`,
    );
  }
  try {
    await admin.ordered(['lifecycle', 'chaincode', 'commit', ...definitionArguments(definition), ...endorsers]);
  } catch (error) {
    if (!(await isCommitted())) {
      throw error;
    }
  }
}
