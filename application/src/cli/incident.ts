// SPDX-License-Identifier: Apache-2.0
import { hashOf, incidentStep, needsFindings, type IncidentRecord, type IncidentStep } from '@sev/chaincode/api';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { collect } from '../services/rounds.js';
import { addCommand, addGroup, type Runner } from './command.js';
import { addCorrect, addEvidence, verifiedFindings } from './incident-evidence.js';
import { incidentsText, incidentText, nextText, roundsText } from './incident-text.js';
import { asStaff, organisationOptions, serviceOptions, type ServiceChoice } from './organisation-option.js';

interface OpenOptions extends ServiceChoice {
  readonly task: string;
  readonly vehicle: string;
  readonly rounds?: readonly number[];
  readonly reason: string;
  readonly id?: string;
}
interface VoteOptions extends ServiceChoice {
  readonly step: IncidentStep;
  readonly no?: boolean;
  readonly findings?: string;
}
interface ListOptions extends ServiceChoice {
  readonly task?: string;
}

const LARGEST_ROUND = 1_000_000;

export function incidentCommands(program: Command, run: Runner): void {
  const group = addGroup(
    program,
    'incident',
    'suspected vehicles: what votes open, what they find, how the model is mended',
  );
  addOpen(group, run);
  addList(group, run);
  addShow(group, run);
  addEvidence(group, run);
  addVote(group, run);
  addCorrect(group, run);
}

function addOpen(group: Command, run: Runner): void {
  addCommand<OpenOptions>(group, run, {
    usage: 'open',
    summary: 'put the suspicion of a vehicle to the organisations; opens nothing of it by itself',
    examples: [
      'sev incident open --task price-1 --vehicle v-AbCdEfGhIjKlMnOpQrStUv',
      'sev incident open --task price-1 --vehicle v-AbCdEfGhIjKlMnOpQrStUv --rounds 3-7,9 --org regulator',
    ],
    notes:
      'Without --rounds it disputes the finalised rounds since the suspicion of the vehicle began to rise, 64 at the most.\n' +
      'Who is suspected: sev audit trace model <hash>.',
    options: (command) => {
      command.requiredOption('--task <id>', 'task that the vehicle reports to');
      command.requiredOption('--vehicle <id>', 'vehicle that is suspected');
      command.option('--rounds <list>', 'finalised rounds that are disputed, e.g. 3-7,9', roundList);
      command.option('--reason <text>', 'why, in a sentence', 'accumulated suspicion');
      command.option('--id <name>', 'id of the incident (default: follows from task, vehicle and rounds)');
      organisationOptions(command);
    },
    work: (_context, { task: taskId, vehicle: vehicleId, rounds, reason, id, ...choice }) =>
      asStaff(choice, async ({ session }) => {
        const [{ incidents, learning }, { disputedRounds, roundsOfVehicle }] = await Promise.all([
          import('../ledger/index.js'),
          import('../incidents/suspected-rounds.js'),
        ]);
        const disputed = disputedRounds(await roundsOfVehicle(learning(session), taskId, vehicleId), rounds);
        const incidentId = id ?? `incident-${hashOf([taskId, vehicleId, disputed]).slice(0, 12)}`;
        const { result } = await incidents(session).open({ incidentId, taskId, vehicleId, disputed, reason });
        const where = roundsText(disputed.map(({ round }) => round));
        return {
          data: result,
          text: `${incidentId} opened about ${vehicleId}, rounds ${where}\n→ vote: sev incident vote ${incidentId} --step projections`,
        };
      }),
  });
}

function addList(group: Command, run: Runner): void {
  addCommand<ListOptions>(group, run, {
    usage: 'list',
    summary: 'list the incidents, oldest first',
    examples: ['sev incident list', 'sev incident list --task price-1 --json'],
    options: (command) => {
      command.option('--task <id>', 'of this task only');
      organisationOptions(command);
    },
    work: (_context, { task, ...choice }) =>
      asStaff(choice, async ({ session }) => {
        const { incidents } = await import('../ledger/index.js');
        const all: IncidentRecord[] = await collect(incidents(session).incidents());
        const found = all
          .filter(({ taskId }) => task === undefined || taskId === task)
          .sort((a, b) => a.openedAtMs - b.openedAtMs);
        return { data: found, text: incidentsText(found) };
      }),
  });
}

function addShow(group: Command, run: Runner): void {
  addCommand<ServiceChoice>(group, run, {
    usage: 'show <incident>',
    summary: 'show an incident: what is disputed, who voted, what was decided',
    examples: ['sev incident show incident-1f0c9a7e4b21', 'sev incident show incident-1f0c9a7e4b21 --json'],
    options: organisationOptions,
    work: (_context, choice, [id = '']) =>
      asStaff(choice, async ({ session }) => {
        const { incidents } = await import('../ledger/index.js');
        const incident = await incidents(session).incident(id);
        return { data: incident, text: incidentText(incident) };
      }),
  });
}

function addVote(group: Command, run: Runner): void {
  addCommand<VoteOptions>(group, run, {
    usage: 'vote <incident>',
    summary: 'vote on a step in the name of an organisation',
    examples: [
      'sev incident vote incident-1f0c9a7e4b21 --step projections --org city',
      'sev incident vote incident-1f0c9a7e4b21 --step confirm --org regulator',
      'sev incident vote incident-1f0c9a7e4b21 --step vectors --no --org maker',
    ],
    notes:
      'A step is taken by a majority of the organisations with the regulator among it. projections: 64 further projections of\n' +
      'the disputed updates are opened; vectors: the updates; confirm: the vehicle is revoked and loses what had not vested;\n' +
      'clear: its quarantine ends and it is made whole. Before confirm, and clear after something was opened, the findings of\n' +
      'the last `sev incident evidence` are computed again: the vote is for what this organisation has seen itself.',
    options: (command) => {
      command.addOption(
        new Option('--step <step>', 'what is voted on').choices(incidentStep.options).makeOptionMandatory(),
      );
      command.option('--no', 'vote against it');
      command.option('--findings <hash>', 'findings that it must come to (default: those kept in the home)');
      organisationOptions(command);
      serviceOptions(command);
    },
    work: (context, { step, no = false, findings, ...choice }, [id = '']) =>
      asStaff(choice, async (opened) => {
        const { incidents } = await import('../ledger/index.js');
        const contract = incidents(opened.session);
        const { state } = await contract.incident(id);
        const hash =
          !no && needsFindings(step, state)
            ? await verifiedFindings(context, opened, choice, id, { step, findings })
            : undefined;
        const argument = { incidentId: id, step, approve: !no };
        const { result } = await contract.vote({ ...argument, ...(hash === undefined ? {} : { findingsHash: hash }) });
        const about = hash === undefined ? '' : `, findings ${hash}`;
        return {
          data: result,
          text: `${opened.session.mspId} voted ${no ? 'against' : 'for'} ${step}${about}; ${id} is in state ${result.state}${nextText(result, step)}`,
        };
      }),
  });
}

/** `3-7,9` */
function roundList(text: string): number[] {
  const rounds = text.split(',').flatMap((part) => {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first < 1 || last < first || last > LARGEST_ROUND) {
      throw new InvalidArgumentError('It must be rounds and ranges of them, e.g. 3-7,9.');
    }
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
  return [...new Set(rounds)].sort((a, b) => a - b);
}
