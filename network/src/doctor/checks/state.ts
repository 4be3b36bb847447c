// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../supervisor/json.js';
import { checkStateFits } from '../../supervisor/state.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';

const versionSchema = z.object({ schemaVersion: z.int() });
/** The version of the state directory that this program writes and reads. */
const KNOWN_VERSION = 1;

async function isNewer(file: string): Promise<boolean> {
  try {
    return ((await readJson(file, versionSchema))?.schemaVersion ?? 0) > KNOWN_VERSION;
  } catch {
    // Not even its version can be read: that it is unreadable is what is reported.
    return false;
  }
}

async function stateResult({ paths, state, running }: Facts): Promise<CheckResult> {
  const { error, value } = state;
  if (error !== undefined) {
    if (existsSync(join(paths.home, 'fabric')) && existsSync(join(paths.home, 'embedded'))) {
      return { seen: '', problems: [{ code: 'STATE_TWO_KINDS', found: paths.home }] };
    }
    const code = (await isNewer(paths.stateFile)) ? 'STATE_NEWER' : 'STATE_UNREADABLE';
    return { seen: '', problems: [{ code, found: error.message }] };
  }
  if (value === undefined || running === 'never') {
    return { seen: `${paths.home} holds no network yet` };
  }
  const names = (value.members ?? value.organisations.map(({ name }) => name)).join(', ');
  return { seen: `network "${value.name}" at ${paths.state}; nodes of ${names}` };
}

const state: Check = { name: 'state', run: stateResult };

function topologyResult({ paths, state: read, topology }: Facts): CheckResult {
  if (topology.error !== undefined) {
    return { seen: '', problems: [{ code: 'TOPOLOGY_INVALID', found: topology.error.message }] };
  }
  const problems: DoctorProblem[] = [];
  if (read.value !== undefined && topology.value !== undefined) {
    try {
      checkStateFits(paths, read.value, topology.value);
    } catch (error) {
      problems.push({ code: 'TOPOLOGY_DIFFERS', found: error instanceof Error ? error.message : String(error) });
    }
  }
  return { seen: topology.value?.file ?? '', problems };
}

const topology: Check = { name: 'topology', run: topologyResult };

/** What lies on disk about the network itself. */
export const stateChecks: readonly Check[] = [state, topology];
