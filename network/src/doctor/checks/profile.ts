// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootFile } from '../../fabric/enrolment.js';
import type { ConnectionProfile } from '../../supervisor/profile.js';
import type { Facts, HomeMember } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';

async function memberProblem(
  { kind, paths }: Facts,
  { name, ports, layout }: HomeMember,
  told: ConnectionProfile['organisations'][number],
): Promise<DoctorProblem | undefined> {
  const port = (address: string): number => Number(/:(\d+)$/.exec(address)?.[1]);
  const of = (what: string): DoctorProblem => ({ code: 'PROFILE_DIFFERS', found: `${what} of ${name} is another` });
  if (port(told.gateway.address) !== ports.gateway || port(told.ca.url) !== ports.ca) {
    return of('the port of gateway or CA');
  }
  const crypto = join(paths.crypto, name);
  const [root, tlsRoot] =
    kind === 'fabric'
      ? [rootFile(layout.ca), rootFile(layout.tlsCa)]
      : [join(crypto, 'identity-ca.crt'), join(crypto, 'tls-ca.crt')];
  for (const [what, file, pem] of [
    ['the identity root', root, told.identityCaCert],
    ['the TLS root', tlsRoot, told.gateway.tlsCaCert],
  ] as const) {
    if (existsSync(file) && (await readFile(file, 'utf8')).trim() !== pem.trim()) {
      return of(what);
    }
  }
  return undefined;
}

async function profileResult(facts: Facts): Promise<CheckResult | undefined> {
  const { profile, members, paths } = facts;
  if (profile.error !== undefined) {
    return { seen: '', problems: [{ code: 'PROFILE_DIFFERS', found: profile.error.message }] };
  }
  const { value } = profile;
  if (value === undefined || members.length === 0) {
    return undefined;
  }
  const problems = await Promise.all(
    members.map(async (member): Promise<DoctorProblem | undefined> => {
      const told = value.organisations.find(({ name }) => name === member.name);
      return told === undefined
        ? { code: 'PROFILE_DIFFERS', found: `${member.name} is missing` }
        : await memberProblem(facts, member, told);
    }),
  );
  return { seen: paths.profile, problems: problems.flatMap((problem) => problem ?? []) };
}

export const profileCheck: Check = { name: 'connection profile', run: profileResult };
