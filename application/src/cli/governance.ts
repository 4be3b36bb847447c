// SPDX-License-Identifier: Apache-2.0
import { hashOf, type Change, type ConsortiumRecord, type ProposalRecord } from '@sev/chaincode/api';
import type { Command } from 'commander';
import { EXIT, SevError } from '../errors.js';
import { addCommand, addGroup, type Answer, type Runner } from './command.js';
import { withSession } from './homes.js';

interface Options {
  readonly org?: string;
  readonly home?: string;
  readonly homes?: string;
}
interface VoteOptions extends Options {
  readonly against?: boolean;
}

function identityOptions(command: Command): void {
  command.option('--org <name>', 'organisation whose operator acts (default: that of this home, else grid)');
  command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
  command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
}

type Contract = ReturnType<(typeof import('../ledger/index.js'))['governance']>;

/** Has something done in the name of an organisation's operator. */
async function asOperator<T>(options: Options, use: (contract: Contract) => Promise<T>): Promise<T> {
  const [{ homeOrganisation }, { governance }] = await Promise.all([
    import('@sev/network'),
    import('../ledger/index.js'),
  ]);
  const org = options.org ?? (await homeOrganisation()) ?? 'grid';
  const { home, homes } = options;
  return withSession({ org, home, homes, label: 'operator' }, ({ session }) => use(governance(session)));
}

function proposalAnswer(proposal: ProposalRecord, done: string): Answer {
  const { proposalId: id, state, change } = proposal;
  return { data: proposal, text: `${done}: ${id} (${change.kind}), ${state}` };
}

function consortiumAnswer(consortium: ConsortiumRecord): Answer {
  const lines = consortium.organisations.map(
    ({ name, mspId, roles }) => `  ${name.padEnd(12)} ${mspId.padEnd(20)} ${roles.join(', ')}`,
  );
  return { data: consortium, text: [`${String(lines.length)} members`, ...lines].join('\n') };
}

/**
 * Proposes a change under a name that says what it is about: the same whoever proposes the same. One that was carried out
 * or withdrawn before (an organisation that left and comes back) gets a number.
 */
async function propose(options: Options, change: Change, about: string): Promise<Answer> {
  const name = `${change.kind}-${about}-${hashOf(change).slice(0, 8)}`;
  const proposal = await asOperator(options, async (contract) => {
    for (let number = 1; ; number += 1) {
      const proposalId = number === 1 ? name : `${name}-${String(number)}`;
      const { result } = await contract.propose({ proposalId, change });
      if (result.state === 'open') {
        return result;
      }
    }
  });
  return proposalAnswer(proposal, 'proposed, with the vote of its proposer');
}

/** Who belongs to the consortium on the ledger: a majority of its members decides. */
export function governanceCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'governance', 'who belongs to the consortium on the ledger; a majority decides');
  addCommand<Options>(group, run, {
    usage: 'show',
    summary: 'show the members',
    examples: ['sev governance show'],
    options: identityOptions,
    work: async (_context, options) => consortiumAnswer(await asOperator(options, (contract) => contract.consortium())),
  });
  addCommand<Options>(group, run, {
    usage: 'proposals',
    summary: 'list what was proposed',
    examples: ['sev governance proposals'],
    options: identityOptions,
    work: async (_context, options) => {
      const proposals: ProposalRecord[] = [];
      await asOperator(options, async (contract) => {
        for await (const proposal of contract.proposals()) {
          proposals.push(proposal);
        }
      });
      const lines = proposals.map(({ proposalId: id, state, proposedBy }) => `${id}  ${state}, by ${proposedBy}`);
      return { data: proposals, text: lines.length === 0 ? 'nothing was proposed' : lines.join('\n') };
    },
  });
  addCommand<Options>(group, run, {
    usage: 'admit <part>',
    summary: 'propose to admit an organisation, by its public part',
    examples: ['sev governance admit fleet.json'],
    notes:
      'Its identities are those of its CA, which the channel has to know: `sev network org propose-add` comes first.',
    options: identityOptions,
    work: async (_context, options, [file = '']) => {
      const { readSignedPart } = await import('@sev/network');
      const { publicOrganisationOf } = await import('../run/organisation-apart.js');
      const { organisation } = publicOrganisationOf((await readSignedPart(file)).part);
      return propose(options, { kind: 'admit-organisation', organisation }, organisation.name);
    },
  });
  addCommand<Options>(group, run, {
    usage: 'remove <organisation>',
    summary: 'propose to remove an organisation, by its name or MSP id',
    examples: ['sev governance remove fleet'],
    notes: 'Executing it is refused while rounds or proposals of that organisation are open.',
    options: identityOptions,
    work: async (_context, options, [organisation = '']) => {
      const consortium = await asOperator(options, (contract) => contract.consortium());
      const member = consortium.organisations.find(({ name, mspId }) => [name, mspId].includes(organisation));
      if (member === undefined) {
        const names = consortium.organisations.map(({ name }) => name).join(', ');
        throw new SevError('ORGANISATION_UNKNOWN', `${organisation} is no member of the consortium`, {
          hint: `Its members are ${names}.`,
          exitCode: EXIT.usage,
        });
      }
      return propose(options, { kind: 'remove-organisation', mspId: member.mspId }, member.name);
    },
  });
  addCommand<VoteOptions>(group, run, {
    usage: 'vote <proposal>',
    summary: 'vote for a proposal, or against it',
    examples: ['sev governance vote admit-organisation-fleet-0a1b2c3d'],
    options: (command) => {
      identityOptions(command);
      command.option('--against', 'vote against it');
    },
    work: async (_context, { against = false, ...options }, [id = '']) => {
      const { result } = await asOperator(options, (contract) => contract.vote({ proposalId: id, approve: !against }));
      return proposalAnswer(result, against ? 'voted against' : 'voted for');
    },
  });
  addCommand<Options>(group, run, {
    usage: 'execute <proposal>',
    summary: 'carry out a proposal that a majority has accepted',
    examples: ['sev governance execute admit-organisation-fleet-0a1b2c3d'],
    options: identityOptions,
    work: async (_context, options, [id = '']) => {
      const { result } = await asOperator(options, (contract) => contract.execute(id));
      return proposalAnswer(result, 'carried out');
    },
  });
  addCommand<Options>(group, run, {
    usage: 'withdraw <proposal>',
    summary: 'close a proposal without carrying it out',
    examples: ['sev governance withdraw admit-organisation-fleet-0a1b2c3d'],
    options: identityOptions,
    work: async (_context, options, [id = '']) => {
      const { result } = await asOperator(options, (contract) => contract.withdraw(id));
      return proposalAnswer(result, 'withdrawn');
    },
  });
}
