// SPDX-License-Identifier: Apache-2.0
import type { JournalEntry, RewardStatement } from '@sev/chaincode/api';
import type { Command } from 'commander';
import { EXIT, SevError } from '../errors.js';
import { counted } from '../report/plural.js';
import { renderTable } from '../report/summary.js';
import type { RewardTotals } from '../rewards/accounts.js';
import { collect } from '../services/rounds.js';
import { addCommand, addGroup, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { withSession } from './homes.js';
import { asStaff, organisationOptions, type OrganisationChoice } from './organisation-option.js';
import { wholeNumber } from './values.js';

interface TaskOptions extends OrganisationChoice {
  readonly task: string;
}
interface StatementOptions extends TaskOptions {
  readonly vehicle: string;
}
interface PayOptions extends TaskOptions {
  readonly round?: number;
}

const taskOption = (command: Command): void => {
  command.requiredOption('--task <id>', 'task whose rewards it is about');
};

export function rewardCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'rewards', 'what contributions were paid, and when it is the vehicles’ to keep');
  addShow(group, run);
  addStatement(group, run);
  addPay(group, run);
}

function addShow(group: Command, run: Runner): void {
  addCommand<TaskOptions>(group, run, {
    usage: 'show',
    summary: 'the book of a task: totals, vehicles, and whether it adds up',
    examples: ['sev rewards show --task price-1', 'sev rewards show --task price-1 --json'],
    notes: `The exit code is ${String(EXIT_CODES.refused.code)} where the book does not add up.`,
    options: (command) => {
      taskOption(command);
      organisationOptions(command);
    },
    work: (_context, { task: taskId, ...choice }) =>
      asStaff(choice, async ({ session }) => {
        const [{ learning, rewards }, { addUp }] = await Promise.all([
          import('../ledger/index.js'),
          import('../rewards/accounts.js'),
        ]);
        const [contract, book] = [learning(session), rewards(session)];
        await insistOnRewards(contract, taskId);
        const [journal, paid, rounds] = await Promise.all([
          collect(book.journal(taskId)),
          collect(book.paidRounds(taskId)),
          collect(contract.rounds(taskId)),
        ]);
        const finalised = rounds.filter(({ state }) => state === 'finalised').map(({ round }) => round);
        const totals = addUp(taskId, journal, paid, Math.max(0, ...finalised));
        return {
          data: totals,
          text: totalsText(taskId, totals, finalised.length),
          exitCode: totals.problems.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
        };
      }),
  });
}

function totalsText(taskId: string, totals: RewardTotals, finalised: number): string {
  const rows = totals.vehicles.map((one) => [
    one.vehicleId,
    String(one.rounds),
    units(one.vestedMicro),
    units(one.pendingMicro),
    units(one.forfeitedMicro),
    units(one.compensatedMicro),
  ]);
  const head = ['vehicle', 'rounds', 'vested', 'pending', 'forfeited', 'compensated'];
  const { rewardedMicro, compensatedMicro, forfeitedMicro, outOfPoolMicro, vestedMicro, pendingMicro } = totals;
  const books =
    totals.problems.length === 0
      ? `conserved: ${units(rewardedMicro)} rewarded + ${units(compensatedMicro)} compensated − ${units(forfeitedMicro)} forfeited = ` +
        `${units(outOfPoolMicro)} out of the pool = ${units(vestedMicro)} vested + ${units(pendingMicro)} pending`
      : ['the book does NOT add up', ...totals.problems].join('\n  ');
  return [
    `task ${taskId}: ${String(totals.roundsPaid)} of ${counted(finalised, 'finalised round')} paid, ${counted(totals.entries, 'movement')}`,
    ...(rows.length === 0 ? [] : [renderTable(head, rows, new Set([1, 2, 3, 4, 5]))]),
    books,
  ].join('\n');
}

function addStatement(group: Command, run: Runner): void {
  addCommand<StatementOptions>(group, run, {
    usage: 'statement',
    summary: 'all movements of one vehicle in a task',
    examples: ['sev rewards statement --task price-1 --vehicle v-AbCdEfGhIjKlMnOpQrStUv'],
    options: (command) => {
      taskOption(command);
      command.requiredOption('--vehicle <id>', 'vehicle whose account it is');
      organisationOptions(command);
    },
    work: (_context, { task: taskId, vehicle, ...choice }) =>
      asStaff(choice, async ({ session }) => {
        const { rewards } = await import('../ledger/index.js');
        const statement = await rewards(session).statement(taskId, vehicle);
        return { data: statement, text: statementText(statement) };
      }),
  });
}

export function statementText({ taskId, vehicleId, entries, ...sums }: RewardStatement): string {
  const signed = ({ kind, amountMicro }: JournalEntry): string =>
    `${kind === 'forfeit' ? '−' : '+'}${units(amountMicro)}`;
  const rows = entries.map((entry) => [
    String(entry.round),
    entry.kind,
    signed(entry),
    String(entry.vestsAtRound),
    entry.because.slice(0, 24),
  ]);
  const head = ['round', 'what', 'amount', 'vests at round', 'because'];
  const { vestedMicro, pendingMicro, forfeitedMicro } = sums;
  return [
    `vehicle ${vehicleId}, task ${taskId}`,
    entries.length === 0 ? 'nothing was paid' : renderTable(head, rows, new Set([0, 2, 3])),
    `${units(vestedMicro)} vested, ${units(pendingMicro)} pending, ${units(forfeitedMicro)} forfeited`,
  ].join('\n');
}

function addPay(group: Command, run: Runner): void {
  addCommand<PayOptions>(group, run, {
    usage: 'pay',
    summary: 'pay finalised rounds that no coordinator has paid',
    examples: ['sev rewards pay --task price-1', 'sev rewards pay --task price-1 --round 7'],
    notes: 'Coordinators pay each round once it is final; paying a round again changes nothing.',
    options: (command) => {
      taskOption(command);
      command.option('--round <n>', 'this round only', wholeNumber(1, 1_000_000));
      command.option('--org <name>', 'organisation whose coordinator pays', 'grid');
      command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
      command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
    },
    work: (_context, { task: taskId, round, org = 'grid', home, homes }) =>
      withSession({ org, home, homes, label: 'coordinator' }, async ({ session }) => {
        const [{ learning, rewards }, { unpaidRounds }] = await Promise.all([
          import('../ledger/index.js'),
          import('../coordinator/round-payer.js'),
        ]);
        const [contract, book] = [learning(session), rewards(session)];
        await insistOnRewards(contract, taskId);
        const rounds =
          round === undefined ? await unpaidRounds({ learning: contract, rewards: book }, { taskId }) : [round];
        const paid = [];
        for (const number of rounds) {
          paid.push((await book.payRound({ taskId, round: number })).result);
        }
        const lines = paid.map(
          (one) => `round ${String(one.round)}: ${units(one.paidMicro)} to ${counted(one.vehicles, 'vehicle')}`,
        );
        return { data: paid, text: lines.length === 0 ? 'every finalised round is paid' : lines.join('\n') };
      }),
  });
}

async function insistOnRewards(
  contract: ReturnType<(typeof import('../ledger/index.js'))['learning']>,
  taskId: string,
): Promise<void> {
  const { task } = await contract.task(taskId);
  if (task.rewards === undefined) {
    throw new SevError('REWARDS_NONE', `task ${taskId} pays no rewards`, {
      hint: 'Tasks with validators do: make one with `sev round run` in mode secure.',
      exitCode: EXIT.usage,
    });
  }
}

/** Millionths of the consortium's unit of account. */
export function units(micro: number): string {
  return (micro / 1_000_000).toFixed(6);
}
