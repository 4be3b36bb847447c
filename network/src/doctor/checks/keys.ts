// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { mspFiles } from '../../fabric/layout.js';
import { comesFrom, nodeCredentials, readCertificate, type Credential } from '../credentials.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';

const OTHERS = 0o077;

async function keyProblems({ what, certificate, key, root }: Credential): Promise<DoctorProblem[]> {
  const problems: DoctorProblem[] = [];
  const leaf = await readCertificate(certificate);
  if (key !== undefined) {
    if (!existsSync(key)) {
      return [{ code: 'KEY_MISSING', found: `${what}: ${key} is missing` }];
    }
    if (!leaf.checkPrivateKey(createPrivateKey(await readFile(key)))) {
      problems.push({ code: 'KEY_DIFFERS', found: `${what}: ${key}` });
    }
    const { mode } = await stat(key);
    if ((mode & OTHERS) !== 0) {
      problems.push({ code: 'KEY_EXPOSED', found: `${what}: ${key} has mode ${(mode & 0o777).toString(8)}` });
    }
  }
  if (root !== undefined && existsSync(root) && !comesFrom(leaf, await readCertificate(root))) {
    problems.push({ code: 'CERTIFICATE_FOREIGN', found: `${what}: ${certificate} does not come from ${root}` });
  }
  return problems;
}

/** Ledgers whose keys are gone. */
function lostKeys({ kind, members, paths }: Facts): DoctorProblem[] {
  if (kind === 'embedded') {
    const isLost = existsSync(paths.ledger) && !existsSync(paths.crypto);
    return isLost ? [{ code: 'LEDGER_WITHOUT_KEYS', found: `${paths.ledger}, but no ${paths.crypto}` }] : [];
  }
  return members.flatMap(({ layout }) =>
    [layout.peer, layout.orderer].flatMap(({ data, msp }): DoctorProblem[] => {
      const { certificate } = mspFiles(msp);
      const isLost = existsSync(data) && !existsSync(certificate);
      return isLost ? [{ code: 'LEDGER_WITHOUT_KEYS', found: `${data}, but no ${certificate}` }] : [];
    }),
  );
}

async function keysResult(facts: Facts): Promise<CheckResult | undefined> {
  if (facts.members.length === 0) {
    return undefined;
  }
  const credentials = await nodeCredentials(facts);
  const problems = await Promise.all(credentials.map(keyProblems));
  return {
    seen: `${credentials.length.toString()} certificates come from their CAs and fit their keys`,
    problems: [...lostKeys(facts), ...problems.flat()],
  };
}

export const keysCheck: Check = { name: 'keys', run: keysResult };
