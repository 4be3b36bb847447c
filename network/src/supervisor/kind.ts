// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NetworkError } from '../errors.js';
import { findPrograms, programProblems } from '../fabric/programs.js';
import type { NetworkKind } from '../topology/ports.js';
import { networkPaths } from './paths.js';

/** Which network is brought up, and why that one. */
export interface NetworkChoice {
  readonly kind: NetworkKind;
  readonly reason: string;
}

function existingKind(home: string | undefined): NetworkKind | undefined {
  const root = networkPaths(home).home;
  return (['fabric', 'embedded'] as const).find((kind) => existsSync(join(root, kind)));
}

/**
 * Chooses by NETWORK=auto|fabric|embedded. A home that holds a network keeps its kind; an empty one gets Fabric where its
 * programs are found.
 * @throws NetworkError NETWORK_KIND_INVALID, FABRIC_MISSING, FABRIC_VERSION; STATE_FOREIGN when the other kind is asked for
 */
export async function chooseNetwork(
  asked = process.env['NETWORK'] || 'auto',
  path = process.env['PATH'] ?? '',
  home?: string,
): Promise<NetworkChoice> {
  if (asked !== 'auto' && asked !== 'fabric' && asked !== 'embedded') {
    throw new NetworkError('NETWORK_KIND_INVALID', `NETWORK=${asked} is none of auto, fabric, embedded`);
  }
  const existing = existingKind(home);
  if (existing !== undefined && asked !== 'auto' && asked !== existing) {
    throw new NetworkError(
      'STATE_FOREIGN',
      `${networkPaths(home).home} holds a network of kind ${existing}; remove it with clean, or choose another home, for NETWORK=${asked}`,
    );
  }
  const kind = existing ?? asked;
  if (kind === 'auto') {
    return whatCanRun(path);
  }
  if (kind === 'fabric') {
    await findPrograms(path);
  }
  return { kind, reason: asked === kind ? `NETWORK=${kind}` : 'its state lies here' };
}

/** Fabric where its programs are found. */
async function whatCanRun(path: string): Promise<NetworkChoice> {
  const problems = await programProblems(path);
  if (problems.length === 0) {
    return { kind: 'fabric', reason: "Fabric's programs are on PATH" };
  }
  const missing = problems.filter((problem) => problem.kind === 'missing').map(({ program }) => program);
  const wrong = problems.filter((problem) => problem.kind === 'version').map(({ detail }) => detail);
  const reasons = [...(missing.length > 0 ? [`${missing.join(', ')} not on PATH`] : []), ...wrong];
  return { kind: 'embedded', reason: `Fabric's programs cannot be used: ${reasons.join('; ')}` };
}
