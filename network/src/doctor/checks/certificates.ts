// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../../supervisor/json.js';
import { comesFrom, nodeCredentials, readCertificate } from '../credentials.js';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { groupBy } from '../group-by.js';

const DAY_MS = 86_400_000;
const SOON_MS = 30 * DAY_MS;
/** Of a certificate that holds for weeks only, soon is the last part of that. */
const SOON_SHARE = 0.2;
/** CAs date certificates back a little. */
const EARLY_TOLERANCE_MS = 60_000;

type Validity = Pick<X509Certificate, 'validFrom' | 'validTo'>;

/** What is wrong with a certificate's dates. */
export function validityProblem(what: string, certificate: Validity, nowMs: number): DoctorProblem | undefined {
  const fromMs = Date.parse(certificate.validFrom);
  const toMs = Date.parse(certificate.validTo);
  const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
  if (toMs <= nowMs) {
    return { code: 'CERTIFICATE_EXPIRED', found: `${what} ended ${day(toMs)}` };
  }
  if (fromMs > nowMs + EARLY_TOLERANCE_MS) {
    return { code: 'CERTIFICATE_EARLY', found: `${what} holds from ${new Date(fromMs).toISOString()} on` };
  }
  if (toMs - nowMs < Math.min(SOON_MS, (toMs - fromMs) * SOON_SHARE)) {
    const days = Math.floor((toMs - nowMs) / DAY_MS);
    return { code: 'CERTIFICATE_EXPIRES', found: `${what} ends ${day(toMs)}, in ${days.toString()} days` };
  }
  return undefined;
}

async function certificatesResult(facts: Facts): Promise<CheckResult | undefined> {
  if (facts.members.length === 0) {
    return undefined;
  }
  const credentials = await nodeCredentials(facts);
  const read = await Promise.all(
    credentials.map(async ({ what, certificate }) => ({ what, leaf: await readCertificate(certificate) })),
  );
  const ends = read.map(({ leaf }) => Date.parse(leaf.validTo));
  const first = ends.length === 0 ? '' : `, the first until ${new Date(Math.min(...ends)).toISOString().slice(0, 10)}`;
  return {
    seen: `${credentials.length.toString()} certificates of nodes and CAs hold${first}`,
    problems: read.flatMap(({ what, leaf }) => validityProblem(what, leaf, facts.nowMs) ?? []),
  };
}

export const certificatesCheck: Check = { name: 'certificates', run: certificatesResult };

const identitySchema = z.object({ mspId: z.string(), credentials: z.object({ certificate: z.string() }) });

interface Identity {
  readonly label: string;
  readonly mspId: string;
  readonly certificate: X509Certificate;
}

async function identitiesIn(wallet: string): Promise<Identity[]> {
  const files = (await readdir(wallet)).filter((file) => file.endsWith('.id')).sort();
  const read = await Promise.all(
    files.map(async (file): Promise<Identity[]> => {
      const identity = await readJson(join(wallet, file), identitySchema);
      return identity === undefined
        ? []
        : [
            {
              label: file.slice(0, -'.id'.length),
              mspId: identity.mspId,
              certificate: new X509Certificate(identity.credentials.certificate),
            },
          ];
    }),
  );
  return read.flat();
}

/** One problem for each code, however many identities of a home have it: a fleet has thousands. */
function gather(home: string, problems: readonly DoctorProblem[]): DoctorProblem[] {
  const byCode = groupBy(problems, ({ code }) => code);
  return [...byCode].map(([code, [first, ...more]]) => {
    const others = more.length === 0 ? '' : `, and ${more.length.toString()} more there`;
    return { code, found: `${home}: ${first?.found ?? ''}${others}` };
  });
}

async function homeProblems(facts: Facts, name: string): Promise<{ count: number; problems: DoctorProblem[] }> {
  const { homes, profile, nowMs } = facts;
  const identities = await identitiesIn(join(homes, name, 'wallet'));
  const organisations = profile.value?.organisations ?? [];
  const isOrganisation = organisations.some((organisation) => organisation.name === name);
  const problems = identities.flatMap(({ label, mspId, certificate }): DoctorProblem[] => {
    const root = organisations.find((organisation) => organisation.mspId === mspId)?.identityCaCert;
    if (isOrganisation && root !== undefined && !comesFrom(certificate, new X509Certificate(root))) {
      return [{ code: 'WALLET_FOREIGN', found: `"${label}" does not come from the CA of ${mspId}` }];
    }
    return [validityProblem(`"${label}"`, certificate, nowMs) ?? []].flat();
  });
  return { count: identities.length, problems: gather(join(homes, name), problems) };
}

async function walletsResult(facts: Facts): Promise<CheckResult | undefined> {
  const { homes, running } = facts;
  if (running === 'never' || !existsSync(homes)) {
    return undefined;
  }
  const names = (await readdir(homes)).filter((name) => existsSync(join(homes, name, 'wallet')));
  const found = await Promise.all(names.map((name) => homeProblems(facts, name)));
  const count = found.reduce((sum, home) => sum + home.count, 0);
  return {
    seen: `${count.toString()} identities in ${names.length.toString()} homes at ${homes} hold`,
    problems: found.flatMap(({ problems }) => problems),
  };
}

export const walletsCheck: Check = { name: 'wallets', run: walletsResult };
