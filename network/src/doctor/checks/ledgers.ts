// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootFile } from '../../fabric/enrolment.js';
import { mspFiles, tlsFiles } from '../../fabric/layout.js';
import type { ChannelConfig } from '../channel-config.js';
import type { Facts, HomeMember } from '../facts.js';
import type { Check, CheckResult, DoctorProblem } from '../finding.js';
import { groupBy } from '../group-by.js';
import { LedgerFilesError, type StoredBlock } from '../ledger-files.js';
import { nodeLedgers, presentConfig, type NodeLedger } from '../ledgers.js';

const samePem = (one: string, other: string): boolean => one.trim() === other.trim();

async function readIfThere(file: string): Promise<string | undefined> {
  return existsSync(file) ? readFile(file, 'utf8') : undefined;
}

/** Whether the channel knows an organisation by the roots that its CAs have now. */
async function rootProblems({ name, mspId, layout }: HomeMember, config: ChannelConfig): Promise<DoctorProblem[]> {
  const known = config.members.get(mspId);
  if (known === undefined) {
    return [];
  }
  const found: DoctorProblem[] = [];
  for (const [file, roots] of [
    [rootFile(layout.ca), known.roots],
    [rootFile(layout.tlsCa), known.tlsRoots],
  ] as const) {
    const own = await readIfThere(file);
    if (own !== undefined && !roots.some((root) => samePem(root, own))) {
      found.push({ code: 'ROOT_NOT_IN_CHANNEL', found: `${name}: ${file} is none of the channel's` });
    }
  }
  return found;
}

/** Whether an orderer has the certificate by which the channel knows it. */
async function consenterProblems(member: HomeMember, config: ChannelConfig): Promise<DoctorProblem[]> {
  const { name, ports, layout } = member;
  const consenter = config.consenters.find(({ port }) => port === ports.orderer);
  if (ports.orderer === undefined || consenter === undefined) {
    return [];
  }
  if (existsSync(join(layout.orderer.root, 'next'))) {
    return [{ code: 'ROTATION_UNFINISHED', found: `orderer.${name}` }];
  }
  const expected = consenter.identity ?? consenter.serverTlsCert;
  const file =
    consenter.identity === undefined
      ? tlsFiles(layout.orderer.tls).certificate
      : mspFiles(layout.orderer.msp).certificate;
  const own = await readIfThere(file);
  return own === undefined || samePem(own, expected)
    ? []
    : [{ code: 'CONSENTER_DIFFERS', found: `orderer.${name}: ${file} is not the one in the channel configuration` }];
}

type Ended = NodeLedger & { readonly last: StoredBlock };

const withLast = (ledgers: readonly NodeLedger[]): Promise<Ended[]> =>
  Promise.all(ledgers.map(async (ledger) => ({ ...ledger, last: await ledger.files.last() })));

/** Nodes whose block of a number is not that of most. */
async function differing(ledgers: readonly NodeLedger[], number: number): Promise<string[]> {
  const blocks = await Promise.all(
    ledgers.map(async ({ node, files }) => ({ node, hash: (await files.at(number))?.hash })),
  );
  const there = blocks.filter(({ hash }) => hash !== undefined);
  const groups = [...groupBy(there, ({ hash }) => hash).values()].sort((a, b) => b.length - a.length);
  return groups.slice(1).flatMap((group) => group.map(({ node }) => node));
}

async function chainProblems(facts: Facts, config: ChannelConfig | undefined): Promise<[Ended[], DoctorProblem[]]> {
  // Peers first: an orderer has every block before they do.
  const peers = await withLast(await nodeLedgers(facts, 'peer'));
  const orderers = await withLast(await nodeLedgers(facts, 'orderer'));
  const all = [...peers, ...orderers];
  if (all.length === 0) {
    return [all, []];
  }
  const foreign = await differing(all, 0);
  if (foreign.length > 0) {
    return [all, foreign.map((node) => ({ code: 'LEDGER_FOREIGN', found: `${node} has another genesis block` }))];
  }
  const problems: DoctorProblem[] = [];
  const common = Math.min(...all.map(({ last }) => last.number));
  for (const node of await differing(all, common)) {
    problems.push({ code: 'LEDGERS_DIVERGE', found: `${node} has another block ${common.toString()} than others` });
  }
  const hasAllOrderers = config !== undefined && orderers.length === config.consenters.length;
  const highest = (ledgers: readonly Ended[]): number => Math.max(-1, ...ledgers.map(({ last }) => last.number));
  if (hasAllOrderers && highest(peers) > highest(orderers)) {
    const found = `the peers' last block is ${highest(peers).toString()}, the orderers' ${highest(orderers).toString()}`;
    problems.push({ code: 'ORDERERS_OLDER', found });
  }
  return [all, problems];
}

/** A ledger that is not the one that applications are told of. */
async function genesisProblem({ profile }: Facts, all: readonly NodeLedger[]): Promise<DoctorProblem[]> {
  const told = profile.value?.genesisHash;
  const [first] = all;
  const own = (await first?.files.at(0))?.hash;
  return told === undefined || own === undefined || told === own
    ? []
    : [{ code: 'PROFILE_DIFFERS', found: `its genesis hash is ${told}, that of ${first?.node ?? ''} is ${own}` }];
}

async function ledgersResult(facts: Facts): Promise<CheckResult | undefined> {
  if (facts.kind !== 'fabric' || facts.members.length === 0) {
    return undefined;
  }
  try {
    const config = await presentConfig(facts);
    const [all, chain] = await chainProblems(facts, config);
    const perMember =
      config === undefined
        ? []
        : facts.members.map(async (member) => [
            ...(await rootProblems(member, config)),
            ...(await consenterProblems(member, config)),
          ]);
    const problems = [...chain, ...(await genesisProblem(facts, all)), ...(await Promise.all(perMember)).flat()];
    return { seen: `${all.length.toString()} ledgers agree, and know the present keys`, problems };
  } catch (error) {
    if (error instanceof LedgerFilesError) {
      return { seen: '', problems: [{ code: 'LEDGER_UNREADABLE', found: error.message }] };
    }
    throw error;
  }
}

export const ledgersCheck: Check = { name: 'ledgers', run: ledgersResult };
