// SPDX-License-Identifier: Apache-2.0
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { BundleSummary, OrganisationSummary, ProposedUpdate } from '@sev/network';
import { homeOf } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import { addCommand, addGroup, type Answer, type CommandContext, type Runner } from './command.js';
import { withSession } from './homes.js';

interface TopologyOption {
  readonly topology?: string;
}
interface OutOption {
  readonly out: string;
}
interface InitOptions extends TopologyOption {
  readonly home?: string;
}
interface RemoveOptions extends OutOption {
  readonly home?: string;
  readonly acceptNoFaultTolerance?: boolean;
}

const COMPARE = 'Compare the fingerprints with the organisations by another way, as by telephone.';

function networkOptions({ terminal }: CommandContext, { topology }: TopologyOption = {}) {
  return {
    ...(topology === undefined ? {} : { topologyPath: topology }),
    onProgress: (message: string): void => {
      terminal.status(message);
    },
  };
}

function topologyOption(command: Command): void {
  command.option('--topology <file>', 'consortium.yaml that the organisations have agreed on');
}

function homeOption(command: Command): void {
  command.option('--home <folder>', "home of this organisation's programs, to ask the ledger about a removal");
}

function outOption(what: string): (command: Command) => void {
  return (command) => {
    command.requiredOption('--out <path>', what);
  };
}

const organisationLine = ({ name, mspId, fingerprint }: OrganisationSummary): string =>
  `  ${name.padEnd(12)} ${mspId.padEnd(20)} ${fingerprint}`;

function organisationAnswer(summary: OrganisationSummary, done: string): Answer {
  const lines = [`${done}; fingerprint of its identity root:`, `  ${summary.fingerprint}`];
  return { data: summary, text: lines.join('\n') };
}

function bundleAnswer(bundle: BundleSummary, done: string): Answer {
  const { channel, genesisHash, organisations } = bundle;
  const lines = [
    `${done}: channel ${channel}, genesis ${genesisHash}`,
    ...organisations.map(organisationLine),
    COMPARE,
  ];
  return { data: bundle, text: lines.join('\n') };
}

const CHANGES = {
  add: 'adds organisation',
  'add-orderer': 'makes a consenter of the orderer of',
  'rotate-orderer': 'gives new certificates to the orderer of',
  remove: 'removes organisation',
} as const;

function updateAnswer(update: ProposedUpdate, done: string): Answer {
  const { change, organisation, acceptNoFaultTolerance, signers } = update;
  const lines = [
    `${done}: it ${CHANGES[change]} ${organisation.name} (${organisation.mspId})`,
    ...(organisation.fingerprint === undefined ? [] : [`  fingerprint ${organisation.fingerprint}`]),
    ...(acceptNoFaultTolerance ? ['  even if no orderer may fail afterwards'] : []),
    `  signed by ${signers.join(', ')}`,
  ];
  return { data: update, text: lines.join('\n') };
}

/** Organisations that share a network, each with a home and keys of its own. */
export function networkOrgCommands(network: Command, run: Runner): void {
  const group = addGroup(network, 'org', 'a consortium of organisations apart: each its own home, its own keys');
  foundingCommands(group, run);
  changingCommands(group, run);
}

/** From keys of one's own to a channel with the others. */
function foundingCommands(group: Command, run: Runner): void {
  addCommand<InitOptions>(group, run, {
    usage: 'init <organisation>',
    summary: "make an organisation's home: its own CA and its own keys, here only",
    examples: ['SEV_NETWORK_HOME=/srv/sev SEV_HOME=/srv/sev-home sev network org init grid --topology consortium.yaml'],
    notes: "It takes the organisation's entry of the topology. Doing it again changes nothing.",
    options: (command) => {
      topologyOption(command);
      command.option(
        '--home <folder>',
        "home of the organisation's programs (default SEV_HOME, else .sev/<organisation>)",
      );
    },
    work: async (context, options, [name = '']) => {
      const { initOrganisation } = await import('@sev/network');
      const { enrolInto } = await import('../run/organisation-apart.js');
      const enrol = enrolInto(homeOf(name, options.home));
      const summary = await initOrganisation(name, networkOptions(context, options), enrol);
      return organisationAnswer(summary, `${name} has its keys`);
    },
  });
  addCommand<OutOption>(group, run, {
    usage: 'export',
    summary: 'write the public part of this organisation, for the others',
    examples: ['sev network org export --out grid.json'],
    options: outOption('file for the public part'),
    work: async (context, { out }) => {
      const { exportPart } = await import('@sev/network');
      return organisationAnswer(await exportPart(resolve(out), networkOptions(context)), `wrote ${out}`);
    },
  });
  addCommand<OutOption & TopologyOption>(group, run, {
    usage: 'compose <part...>',
    summary: "found a channel: make its genesis block from the organisations' public parts",
    examples: ['sev network org compose grid.json maker.json city.json regulator.json --out bundle'],
    notes: 'Anybody may do it: every organisation checks the bundle before it accepts it.',
    options: (command) => {
      outOption('new folder for the bundle')(command);
      topologyOption(command);
    },
    work: async (context, options, parts) => {
      const { composeChannel } = await import('@sev/network');
      const bundle = await composeChannel(parts, options.out, networkOptions(context, options));
      return bundleAnswer(bundle, `wrote ${options.out}`);
    },
  });
  addCommand(group, run, {
    usage: 'accept <bundle> [part...]',
    summary: 'check a bundle that founds or opens a channel, and take it over',
    examples: ['sev network org accept bundle', 'sev network org accept bundle maker.json city.json'],
    notes:
      'The genesis block must come from the parts in the bundle and the topology of this organisation, whose own part must\n' +
      'be unchanged; parts that you got directly are compared with those in the bundle. Then `sev network up`.',
    work: async (context, _options, [bundle = '', ...parts]) => {
      const { acceptBundle } = await import('@sev/network');
      return bundleAnswer(await acceptBundle(bundle, parts, networkOptions(context)), `accepted ${bundle}`);
    },
  });
}

/** Organisations that come and go while the channel runs. */
function changingCommands(group: Command, run: Runner): void {
  addCommand<OutOption & { readonly withOrderer?: boolean }>(group, run, {
    usage: 'propose-add <part>',
    summary: 'propose to put an organisation into the running channel',
    examples: [
      'sev network org propose-add fleet.json --out update.json',
      'sev network org propose-add fleet.json --with-orderer --out orderer-update.json',
    ],
    notes:
      'The first change adds the organisation without its orderer. Once its nodes run, a second one with --with-orderer\n' +
      'makes its orderer a consenter: consenters change one at a time.',
    options: (command) => {
      outOption('file for the proposed change')(command);
      command.option('--with-orderer', 'propose the orderer of an organisation that is in the channel');
    },
    work: async (context, { out, withOrderer = false }, [part = '']) => {
      const { proposeAddition } = await import('@sev/network');
      return updateAnswer(
        await proposeAddition(part, out, { ...networkOptions(context), withOrderer }),
        `wrote ${out}`,
      );
    },
  });
  addCommand<RemoveOptions>(group, run, {
    usage: 'propose-remove <organisation>',
    summary: 'propose to take an organisation out of the channel, once governance has removed it',
    examples: ['sev network org propose-remove fleet --out update.json'],
    notes: 'First its tasks and votes, then governance (`sev governance remove`), then the channel.',
    options: (command) => {
      outOption('file for the proposed change')(command);
      homeOption(command);
      command.option('--accept-no-fault-tolerance', 'even if no orderer may fail any longer');
    },
    work: async (context, { out, home, acceptNoFaultTolerance = false }, [organisation = '']) => {
      const { checkRemovable, proposeRemoval } = await import('@sev/network');
      const options = { ...networkOptions(context), acceptNoFaultTolerance };
      await requireNotGoverned(await checkRemovable(organisation, options), home);
      return updateAnswer(await proposeRemoval(organisation, out, options), `wrote ${out}`);
    },
  });
  addCommand<{ readonly home?: string }>(group, run, {
    usage: 'sign <update>',
    summary: 'check a proposed change of the channel and sign it, in its file',
    examples: ['sev network org sign update.json'],
    notes: 'The change is worked out anew here and compared: what is signed is what the answer says.',
    options: homeOption,
    work: async (context, { home }, [file = '']) => {
      const { readUpdateFile, signProposal } = await import('@sev/network');
      const { intention } = await readUpdateFile(file);
      if (intention.kind === 'remove') {
        await requireNotGoverned(intention.mspId, home);
      }
      return updateAnswer(await signProposal(file, networkOptions(context)), `signed ${file}`);
    },
  });
  addCommand(group, run, {
    usage: 'submit <update>',
    summary: 'submit a change that a majority of organisations has signed',
    examples: ['sev network org submit update.json'],
    work: async (context, _options, [file = '']) => {
      const { submitProposal } = await import('@sev/network');
      return updateAnswer(await submitProposal(file, networkOptions(context)), 'the channel has the change');
    },
  });
  addCommand<OutOption>(group, run, {
    usage: 'bundle',
    summary: 'write what an organisation that was added needs to join the running channel',
    examples: ['sev network org bundle --out joining'],
    options: outOption('new folder for the bundle'),
    work: async (context, { out }) => {
      const { writeJoiningBundle } = await import('@sev/network');
      return bundleAnswer(await writeJoiningBundle(out, networkOptions(context)), `wrote ${out}`);
    },
  });
  addCommand(group, run, {
    usage: 'refresh [part...]',
    summary: "bring this home's connection profile in line with the channel after organisations came or went",
    examples: ['sev network org refresh', 'sev network org refresh fleet.json'],
    notes: 'Name the public part of an organisation that was added without this one having signed it.',
    work: async (context, _options, parts) => {
      const { refreshMembership } = await import('@sev/network');
      const profile = await refreshMembership(parts, networkOptions(context));
      const names = profile.organisations.map(({ name }) => name);
      return { data: profile, text: `the channel has ${names.join(', ')}` };
    },
  });
}

/** First governance, then the channel: a member that cannot transact would leave open what waits for it. */
async function requireNotGoverned(mspId: string, home: string | undefined): Promise<void> {
  const { homeOrganisation } = await import('@sev/network');
  const { governance } = await import('../ledger/index.js');
  const org = (await homeOrganisation()) ?? '';
  const consortium = await withSession({ org, home, label: 'operator' }, ({ session }) =>
    governance(session).consortium(),
  );
  const member = consortium.organisations.find((organisation) => organisation.mspId === mspId);
  if (member !== undefined) {
    throw new SevError('ORGANISATION_GOVERNED', `${member.name} (${mspId}) is still a member of the consortium`, {
      hint: `Remove it on the ledger first: \`sev governance remove ${member.name}\`, votes, \`sev governance execute\`.`,
      exitCode: EXIT.refused,
    });
  }
}
