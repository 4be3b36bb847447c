// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { attemptNumber, canonicalJson, hash, identifier, roundNumber, type IncidentFindings } from '@sev/chaincode/api';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { parseFile } from '../config/profile.js';
import { PRIVATE_FILE, makePrivateDirectory, readJson, writeFileAtomic } from '../store/files.js';

const findingsFile = z.strictObject({
  type: z.literal('sev/incident-findings/v1'),
  incidentId: identifier,
  updates: z.array(
    z.strictObject({
      round: roundNumber,
      attempt: attemptNumber,
      vectorHash: hash.optional(),
      cosineMilli: z.int(),
      normMilli: z.int().min(0),
      weight: z.int().min(0),
    }),
  ),
});

/** Where an organisation keeps the findings of an incident that it computed last. */
export function findingsPath(home: string, incidentId: string): string {
  return join(inHome.incidents(home), `${incidentId}.json`);
}

/**
 * Writes findings in the form that their hash is of, canonical JSON and nothing else, for their owner only.
 *
 * @returns the path.
 */
export async function writeFindings(home: string, findings: IncidentFindings): Promise<string> {
  const path = findingsPath(home, findings.incidentId);
  await makePrivateDirectory(inHome.incidents(home));
  await writeFileAtomic(path, canonicalJson(findings), { mode: PRIVATE_FILE });
  return path;
}

/** @returns undefined where this home has none of the incident. @throws SevError FILE_MALFORMED. */
export async function readFindings(home: string, incidentId: string): Promise<IncidentFindings | undefined> {
  const path = findingsPath(home, incidentId);
  const value = await readJson(path);
  if (value === undefined) {
    return undefined;
  }
  const { updates, ...rest } = parseFile(findingsFile, path, value);
  return {
    ...rest,
    updates: updates.map(({ vectorHash, ...update }) => ({
      ...update,
      ...(vectorHash === undefined ? {} : { vectorHash }),
    })),
  };
}
