// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { request, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Facts } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { reasonOf } from '../probes.js';

/** A machine under load answers late; one that is down refuses at once. */
const TIMEOUT_MS = 10_000;
/** What TLS says of a certificate that comes from another root. */
const UNTRUSTED = ['UNABLE_TO_VERIFY', 'SELF_SIGNED', 'DEPTH_ZERO', 'CERT_SIGNATURE_FAILURE', 'UNABLE_TO_GET_ISSUER'];

/** A CA that answers, with its clock; or why it does not. */
export interface AuthorityAnswer {
  /** Its time by the Date header, in ms since the epoch (whole seconds), and how far ours was then. */
  readonly theirMs?: number;
  readonly ourMs?: number;
  readonly problem?: DoctorProblem;
}

async function get(url: string, options: RequestOptions): Promise<IncomingMessage> {
  const outgoing = request(url, { ...options, timeout: TIMEOUT_MS });
  outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
  outgoing.end();
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  response.resume();
  return response;
}

/** Asks a CA for its public information. */
export async function askAuthority(name: string, url: string, tlsCaCert: string): Promise<AuthorityAnswer> {
  try {
    const response = await get(`${url}/cainfo`, { ca: tlsCaCert, agent: false });
    const theirMs = Date.parse(response.headers.date ?? '');
    return Number.isNaN(theirMs) ? {} : { theirMs, ourMs: Date.now() };
  } catch (error) {
    const reason = reasonOf(error);
    const code = UNTRUSTED.some((word) => reason.includes(word)) ? 'CA_UNTRUSTED' : 'CA_UNREACHABLE';
    return { problem: { code, found: `CA of ${name} at ${url}: ${reason}` } };
  }
}

/** Asks this home's CAs. */
export async function askAuthorities({ members, profile }: Facts): Promise<AuthorityAnswer[]> {
  const known = (profile.value?.organisations ?? []).filter(({ name }) =>
    members.some((member) => member.name === name),
  );
  return Promise.all(known.map(({ name, ca }) => askAuthority(name, ca.url, ca.tlsCaCert)));
}

async function authoritiesResult(facts: Facts): Promise<CheckResult | undefined> {
  if (facts.running !== 'up') {
    return undefined;
  }
  const answers = await askAuthorities(facts);
  return {
    seen: `${answers.length.toString()} certificate authorities answer`,
    problems: answers.flatMap(({ problem }) => problem ?? []),
  };
}

export const authoritiesCheck: Check = { name: 'certificate authorities', run: authoritiesResult };
