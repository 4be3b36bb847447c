// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import type { NetworkOptions, RevocationListResult } from '@sev/network';
import { organisationNamed, readConnectionProfile, readRegistrar, type ConnectionProfile } from '../config/index.js';
import { EXIT, SevError, systemCode } from '../errors.js';
import type { OrganisationRevocation } from '../identity/index.js';
import { addCommand, type Answer, type CommandContext, type Runner } from './command.js';
import { homesFolder } from './homes.js';

interface RevokeOptions {
  readonly vehiclesFile?: string;
  readonly organisation?: string;
  readonly reason: string;
  readonly homes?: string;
}

interface BackupCommandOptions {
  readonly organisation: string;
  readonly out: string;
  readonly ledgers?: boolean;
  readonly homes?: string;
}

/** Identities that an organisation's nodes and its CA's registrar are enrolled under: without them nothing runs. */
const INFRASTRUCTURE: readonly string[] = ['admin', 'org-admin', 'peer', 'orderer'];

function progressOf({ terminal }: CommandContext): Pick<NetworkOptions, 'onProgress'> & {
  readonly onProgress: (message: string) => void;
} {
  return {
    onProgress: (message) => {
      terminal.status(message);
    },
  };
}

const homesOption = (command: Command): Command =>
  command.option('--homes <folder>', "folder of the organisations' homes (default .sev)");

/** What keeps a network alive over the years: revocation, rotation, backup, peers that are rebuilt. */
export function networkLifecycleCommands(group: Command, run: Runner): void {
  revocationCommands(group, run);
  rotationCommands(group, run);
  backupCommands(group, run);
  snapshotCommands(group, run);
}

function revocationCommands(group: Command, run: Runner): void {
  addCommand<RevokeOptions>(group, run, {
    usage: 'revoke [enrollment-id...]',
    summary: 'shut identities out for good: on the ledger, at their CA, and at every peer and orderer',
    examples: [
      'sev network revoke v-3Zm0Y1kqS8uKxq0b6QmFCw --reason "stolen"',
      'sev network revoke --vehicles-file stolen.txt --reason "stolen"',
      'sev network revoke attester --organisation city --reason "left the company"',
    ],
    notes:
      'Vehicles are known to the ledger and revoked there first, where it works at once. With --organisation they are\n' +
      "identities of that organisation's CA which are no vehicles. However many there are, the channel's configuration\n" +
      'changes once for each organisation. Doing it again changes nothing; one that broke off goes on.',
    options: (command) => {
      homesOption(
        command
          .option('--vehicles-file <file>', 'vehicle ids, one a line; "#" starts a comment')
          .option('--organisation <name>', 'the ids are of people and programs of this organisation')
          .requiredOption('--reason <text>', 'stays on the ledger for good, so nothing personal'),
      );
    },
    work: async (context, options, ids) => {
      const enrollmentIds = [...new Set([...ids, ...(await idsIn(options.vehiclesFile))])];
      if (enrollmentIds.length === 0) {
        throw new SevError('USAGE', 'Nobody is named: give enrollment ids, or --vehicles-file', {
          exitCode: EXIT.usage,
        });
      }
      const profile = await readConnectionProfile();
      const revoked = await (options.organisation === undefined
        ? revokeVehiclesHere(context, profile, enrollmentIds, options)
        : revokeStaff(context, profile, options.organisation, enrollmentIds, options));
      const published = await publish(context, profile, revoked.organisations);
      return revocationAnswer(enrollmentIds, revoked, published);
    },
  });
}

interface Revoked {
  readonly organisations: readonly OrganisationRevocation[];
  /** Not for identities that the ledger does not know. */
  readonly revokedOnLedger?: number;
  readonly revokedCertificates: number;
}

async function idsIn(file: string | undefined): Promise<string[]> {
  if (file === undefined) {
    return [];
  }
  try {
    const lines = (await readFile(file, 'utf8')).split('\n').map((line) => line.replace(/#.*/, '').trim());
    return lines.filter((line) => line !== '');
  } catch (error) {
    throw new SevError('FILE_UNREADABLE', `${file} cannot be read (${systemCode(error) ?? String(error)})`, {
      exitCode: EXIT.usage,
      cause: error,
    });
  }
}

async function revokeVehiclesHere(
  { terminal }: CommandContext,
  profile: ConnectionProfile,
  vehicleIds: readonly string[],
  { homes, reason }: RevokeOptions,
): Promise<Revoked> {
  const { revokeVehicles } = await import('../identity/index.js');
  return revokeVehicles({
    profile,
    homes: homesFolder(homes),
    vehicleIds,
    reason,
    onProgress: ({ step, done, total }) => {
      terminal.status(
        `revoking ${step === 'ledger' ? 'on the ledger' : 'at the CA'}: ${String(done)} of ${String(total)}`,
      );
    },
  });
}

/** Identities without a record on the ledger: their CA, then the channel. */
async function revokeStaff(
  { terminal }: CommandContext,
  profile: ConnectionProfile,
  name: string,
  enrollmentIds: readonly string[],
  { homes }: RevokeOptions,
): Promise<Revoked> {
  const needed = enrollmentIds.find((id) => INFRASTRUCTURE.includes(id));
  if (needed !== undefined) {
    throw new SevError('USAGE', `"${needed}" runs the organisation's nodes, which would stop with it`, {
      hint: 'Give the nodes new keys with `sev network rotate`, or take the organisation out of the channel.',
      exitCode: EXIT.usage,
    });
  }
  const { openRegistrar } = await import('../identity/index.js');
  const organisation = organisationNamed(profile, name);
  const home = join(homesFolder(homes), organisation.name);
  const registrar = await openRegistrar(organisation, home, () => readRegistrar(organisation.name));
  let revokedCertificates = 0;
  for (const id of enrollmentIds) {
    terminal.status(`revoking ${id} at the CA of ${organisation.name}`);
    revokedCertificates += await registrar.revoke(id, 'unspecified');
  }
  const { mspId } = organisation;
  const crlPem = await registrar.revocationList();
  return {
    organisations: [{ name: organisation.name, mspId, vehicleIds: enrollmentIds, crlPem }],
    revokedCertificates,
  };
}

interface Published extends RevocationListResult {
  readonly organisation: string;
}

/** On Fabric the lists go into the channel's configuration; the embedded network asks its CAs itself. */
async function publish(
  context: CommandContext,
  profile: ConnectionProfile,
  organisations: readonly OrganisationRevocation[],
): Promise<Published[]> {
  if (profile.network.kind !== 'fabric') {
    return [];
  }
  const { publishRevocationList } = await import('@sev/network');
  const published: Published[] = [];
  for (const { name, crlPem } of organisations) {
    context.terminal.status(`publishing the revocation list of ${name}`);
    published.push({ organisation: name, ...(await publishRevocationList(name, crlPem, progressOf(context))) });
  }
  return published;
}

function revocationAnswer(
  enrollmentIds: readonly string[],
  { revokedOnLedger, revokedCertificates }: Revoked,
  published: readonly Published[],
): Answer {
  const lines = [
    `${String(enrollmentIds.length)} revoked: ${String(revokedCertificates)} certificates now` +
      (revokedOnLedger === undefined ? '' : `, ${String(revokedOnLedger)} on the ledger now`),
    ...published.map(
      ({ organisation, revokedCertificates: all, updated }) =>
        `  ${organisation}: the channel refuses ${String(all)} certificates${updated ? '' : ', as before'}`,
    ),
  ];
  return { data: { enrollmentIds, revokedOnLedger, revokedCertificates, published }, text: lines.join('\n') };
}

function rotationCommands(group: Command, run: Runner): void {
  addCommand<{ readonly organisation?: readonly string[]; readonly proposal?: string }>(group, run, {
    usage: 'rotate',
    summary: "give nodes new keys and certificates while the network goes on (Fabric's network)",
    examples: ['sev network rotate', 'sev network rotate --organisation grid'],
    notes:
      'CA server, administrator, peer, chaincode and orderer, one after the other; the roots stay. An orderer stands in\n' +
      "the channel's configuration, which a majority of organisations has to change: an organisation by itself writes a\n" +
      'proposal, which the others sign with `sev network org sign`; it then submits it with `sev network org submit` and\n' +
      'rotates again, which finishes it. Rotate one organisation at a time, and only while all orderers are well.',
    options: (command) => {
      command
        .option('--organisation <name...>', 'whose nodes (default: all that run from here)')
        .option('--proposal <file>', "file for a change that others have to sign (default: in the network's home)");
    },
    work: async (context, { organisation, proposal: file }) => {
      const { rotateNodes } = await import('@sev/network');
      const result = await rotateNodes(organisation, { ...progressOf(context), proposal: file });
      const { organisations, proposal } = result;
      const done = organisations.length === 0 ? [] : [`new keys and certificates: ${organisations.join(', ')}`];
      const waits =
        proposal === undefined
          ? []
          : [`the orderer waits for the signatures of a majority on ${proposal.file}; submit it, then rotate again`];
      return { data: result, text: [...done, ...waits].join('\n') };
    },
  });
}

function backupCommands(group: Command, run: Runner): void {
  addCommand<BackupCommandOptions>(group, run, {
    usage: 'backup',
    summary: "save an organisation into one file: keys, CA, wallets (Fabric's network)",
    examples: ['sev network backup --organisation grid --out grid.tar'],
    notes:
      'Whoever has the file has the organisation: it holds all its private keys. It is readable for you only; encrypt it\n' +
      'before it leaves the machine. The network may run meanwhile, but not with --ledgers. Without ledgers a restored peer\n' +
      'and orderer get all blocks from the others.',
    options: (command) => {
      homesOption(
        command
          .requiredOption('--organisation <name>', 'the organisation')
          .requiredOption('--out <file>', 'file to write')
          .option('--ledgers', 'the ledgers of peer and orderer too'),
      );
    },
    work: async (context, { organisation, out, ledgers, homes }) => {
      const { backupOrganisation } = await import('@sev/network');
      const programs = join(homesFolder(homes), organisation);
      const { files } = await backupOrganisation(organisation, out, {
        ...progressOf(context),
        programs,
        ledgers: ledgers === true,
      });
      const count = Object.keys(files).length;
      return {
        data: { organisation, file: out, files: count, ledgers: ledgers === true },
        text: `${organisation} is saved in ${out}: ${String(count)} files${ledgers === true ? ', ledgers too' : ''}`,
      };
    },
  });
  addCommand<{ readonly homes?: string }>(group, run, {
    usage: 'restore <file>',
    summary: 'bring an organisation back from its backup, then run `sev network up`',
    examples: ['sev network restore grid.tar'],
    notes: 'Nothing is overwritten: what differs from the backup has to be moved away first. The network must be down.',
    options: homesOption,
    work: async (context, { homes }, [file = '']) => {
      const { restoreOrganisation } = await import('@sev/network');
      const programs = (organisation: string): string => join(homesFolder(homes), organisation);
      const result = await restoreOrganisation(file, { ...progressOf(context), programs });
      const from = new Date(result.createdAtMs).toISOString();
      const lines = [`${result.organisation} is restored as of ${from}`, ...result.restored.map((path) => `  ${path}`)];
      return { data: result, text: [...lines, 'start it with `sev network up`'].join('\n') };
    },
  });
}

function snapshotCommands(group: Command, run: Runner): void {
  addCommand<{ readonly organisation: string; readonly out?: string }>(group, run, {
    usage: 'snapshot',
    summary: "save the state of a peer's ledger as it stands, to build another peer from (Fabric's network)",
    examples: ['sev network snapshot --organisation regulator --out snapshot'],
    options: (command) => {
      command
        .requiredOption('--organisation <name>', 'whose peer')
        .option('--out <folder>', 'folder to copy it to (default: it stays with the peer)');
    },
    work: async (context, { organisation, out }) => {
      const { takeSnapshot } = await import('@sev/network');
      const snapshot = await takeSnapshot(organisation, { ...progressOf(context), copyTo: out });
      const text = `snapshot up to block ${String(snapshot.lastBlock)} (${snapshot.lastBlockHash}) in ${snapshot.folder}`;
      return { data: snapshot, text };
    },
  });
  addCommand<{ readonly organisation: string; readonly snapshot?: string }>(group, run, {
    usage: 'rejoin',
    summary: "delete a peer's ledger and build it anew, from a snapshot or from the first block (Fabric's network)",
    examples: ['sev network rejoin --organisation city', 'sev network rejoin --organisation city --snapshot snapshot'],
    notes:
      'A peer that is built from a snapshot has all state and all later blocks, but no earlier block: `sev audit`, which\n' +
      'checks every block from the first, has to read from another peer.',
    options: (command) => {
      command
        .requiredOption('--organisation <name>', 'whose peer')
        .option('--snapshot <folder>', 'snapshot to start from (default: all blocks, from the orderers)', nonEmpty);
    },
    work: async (context, { organisation, snapshot: folder }) => {
      const { rejoinPeer } = await import('@sev/network');
      const snapshot = await rejoinPeer(organisation, { ...progressOf(context), snapshot: folder });
      const from = snapshot === undefined ? 'the first block' : `block ${String(snapshot.lastBlock + 1)}`;
      return { data: { organisation, snapshot }, text: `the peer of ${organisation} has the channel from ${from} on` };
    },
  });
}

function nonEmpty(text: string): string {
  if (text === '') {
    throw new InvalidArgumentError('is empty');
  }
  return text;
}
