// SPDX-License-Identifier: Apache-2.0
import Table from 'cli-table3';
import { judgedLines } from './judged-round.js';
import type { Report, RoundReport } from './report.js';
import type { AccuracyPlot } from './plot-scale.js';

/** What every mode means for whoever takes part; printed wherever a round is. */
export const PRIVACY_NOTE = {
  plain: 'plain: updates are visible to the store, the coordinator and the attesters',
  secure: 'secure: no aggregator by itself sees an update; a few random projections of each are opened',
  he: 'he: no organisation by itself sees an update while all follow the protocol; where one may lie, use secure',
  dp: 'dp: no aggregator by itself sees an update; the opened sum carries noise of a stated privacy',
} as const;
export const PRIVACY_MODES = Object.keys(PRIVACY_NOTE) as (keyof typeof PRIVACY_NOTE)[];

/** What a mode means where no projections are opened. */
export function statisticsNote(privacy: keyof typeof PRIVACY_NOTE): string {
  return privacy === 'secure'
    ? 'secure: no aggregator by itself sees what a vehicle reports; nothing but the sum is opened'
    : PRIVACY_NOTE[privacy];
}

/** What the modes of these tasks and rounds mean, one a line, each once. */
export function privacyNotes(records: readonly unknown[]): string {
  const modes = new Set(records.flatMap((record) => modesIn(record)));
  return PRIVACY_MODES.filter((mode) => modes.has(mode))
    .map((mode) => PRIVACY_NOTE[mode])
    .join('\n');
}

/** A round names its mode itself, a task's record within its task. */
function modesIn(record: unknown): unknown[] {
  const { privacy, task } = (record ?? {}) as { privacy?: unknown; task?: { privacy?: unknown } };
  return [privacy, task?.privacy];
}

export function plotOf(report: Report): AccuracyPlot {
  const { rounds, baselines, data, vehicles, split, hostile } = report;
  const exercise =
    hostile === undefined ? '' : `, ${hostileCount(hostile)} attack by ${hostile.attack}${fromText(hostile)}`;
  return {
    title: `Federated learning of ${report.task}: accuracy by round`,
    subtitle: `${data.source} · ${String(vehicles)} vehicles, split ${split}${exercise} · ${report.aggregation} · network ${report.network.kind}, trust: ${report.network.trust}`,
    rounds: rounds.map((round) => round.round),
    federated: rounds.map((round) => round.r2),
    ...(baselines === undefined ? {} : { baselines: { central: baselines.central.r2, alone: baselines.alone.r2 } }),
  };
}

/** Rows of a table with plain borders, so that it reads the same in a log. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number>,
): string {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 1 },
    colAligns: head.map((_, index) => (right.has(index) ? 'right' : 'left')),
    chars: {
      top: '',
      'top-mid': '',
      'top-left': '',
      'top-right': '',
      bottom: '',
      'bottom-mid': '',
      'bottom-left': '',
      'bottom-right': '',
      left: '',
      'left-mid': '',
      mid: '',
      'mid-mid': '',
      right: '',
      'right-mid': '',
      middle: ' ',
    },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** The table of rounds, the baselines, the audit: what a run came to. */
export function summaryText(report: Report): string {
  const head = [
    'round',
    'cohort',
    'R²',
    `error ${report.unit === 'rupees' ? '₹' : report.unit}`,
    'ms',
    'train',
    'record',
    'aggregate',
    'ledger',
    'commits',
    'model',
  ];
  const numbers = new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const error = (value: number): string => errorText(value, report.unit);
  const rows = report.rounds.map((round) => roundRow(round, error));
  const { network, audit, data } = report;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const medianMs = median(report.rounds.map((round) => round.ms.total));
  const failure = audit.firstFailure;
  return [
    `task ${report.taskId} · ${String(report.vehicles)} vehicles · split ${report.split} · ${PRIVACY_NOTE[report.aggregation]}`,
    `data ${data.source}: ${String(data.rows)} rows, ${String(data.testRows)} of them for testing only`,
    ...(report.hostile === undefined ? [] : [hostileText(report.hostile)]),
    '',
    renderTable(head, rows, numbers),
    ...judgedRounds(report),
    '',
    ...baselineLines(report, error),
    ...personalisedLines(report, error),
    ...vehicleLines(report),
    ...privacyLines(report),
    '',
    `audit ${audit.ok ? `ok: ${String(audit.checked)} items checked` : `FAILED: ${failure?.code ?? ''}: ${failure?.where ?? ''}: ${failure?.detail ?? ''}`}`,
    `network ${network.kind}, trust: ${network.trust}, ${String(network.organisations.length)} organisations, ${String(network.height)} blocks`,
    `median round ${medianMs.toFixed(0)} ms · set-up ${seconds(report.ms.setUp)}, rounds ${seconds(report.ms.rounds)}, ` +
      `baselines ${seconds(report.ms.baselines)}, audit ${seconds(report.ms.audit)}, whole ${seconds(report.ms.total)}`,
  ].join('\n');
}

function baselineLines({ baselines }: Report, error: (value: number) => string): string[] {
  if (baselines === undefined) {
    return ['no baselines, as was asked for'];
  }
  const { central, alone } = baselines;
  return [
    `central  R² ${central.r2.toFixed(3)}  error ${error(central.mae)}  (all training rows in one place, ${String(central.epochs)} epochs)`,
    `alone    R² ${alone.r2.toFixed(3)}  error ${error(alone.mae)}  (mean of vehicles by themselves, ${String(alone.epochs)} epochs)`,
  ];
}

/** Who attacks in an exercise. */
export function hostileText(hostile: NonNullable<Report['hostile']>): string {
  const what = `${hostileCount(hostile)} attack on purpose, by ${hostile.attack}${fromText(hostile)}`;
  return `EXERCISE: ${what}: ${hostileNames(hostile).join(', ')}`;
}

function fromText({ from }: NonNullable<Report['hostile']>): string {
  return from === 1 ? '' : ` from round ${String(from)} on`;
}

/** `4 of 20 vehicles` */
function hostileCount(hostile: NonNullable<Report['hostile']>): string {
  const count = hostileNames(hostile).length;
  const what = hostile.validators === undefined ? 'vehicles' : 'validators';
  return `${String(count)} of ${String(Math.round(count / hostile.share))} ${what}`;
}

function hostileNames({ vehicles, validators = vehicles }: NonNullable<Report['hostile']>): readonly string[] {
  return validators;
}

/** What was found of validators and vehicles, round by round where there was something. */
function judgedRounds({ rounds }: Report): string[] {
  const found = rounds.flatMap(({ round, judged }) => {
    const lines = judged === undefined ? [] : judgedLines(judged);
    return lines.length === 0 ? [] : [`round ${String(round)}: ${lines.join('; ')}`];
  });
  return found.length === 0 ? [] : ['', ...found];
}

function vehicleLines({ vehicle }: Report): string[] {
  if (vehicle === undefined) {
    return [];
  }
  const { cpuMs, bytesUp, bytesDown, peakMemoryMb } = vehicle;
  const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
  return [
    `vehicle  ${cpuMs.toFixed(0)} ms of CPU a round, ${kilobytes(bytesUp)} up, ${kilobytes(bytesDown)} down; ` +
      `the program of all of them ${peakMemoryMb.toFixed(0)} MB at the peak`,
  ];
}

function privacyLines({ privacy }: Report): string[] {
  if (privacy === undefined) {
    return [];
  }
  const { epsilon, delta, chargedMicroRho, budgetMicroRho } = privacy;
  const share = ((100 * chargedMicroRho) / budgetMicroRho).toFixed(0);
  return [
    `privacy  ε ${epsilon.toFixed(2)} at δ ${delta.toString()}, one vehicle replaced by zeros; ${share} % of the budget`,
  ];
}

function personalisedLines({ personalised }: Report, error: (value: number) => string): string[] {
  if (personalised === undefined) {
    return [];
  }
  const { before, epochs, mae, worstTenthMae } = personalised;
  return [
    `tuned    R² ${personalised.r2.toFixed(3)}  error ${error(mae)}, worst tenth of clients ${error(worstTenthMae)}  ` +
      `(${String(epochs)} epochs on each client's own rows; before: ${error(before.mae)}, ${error(before.worstTenthMae)})`,
  ];
}

function roundRow(round: RoundReport, error: (value: number) => string): string[] {
  const { ms } = round;
  const whole = (value: number): string => value.toFixed(0);
  return [
    String(round.round),
    round.excluded === 0 ? String(round.cohort) : `${String(round.cohort)} (−${String(round.excluded)})`,
    round.r2.toFixed(3),
    error(round.mae).replace(/^₹| .*$/g, ''),
    whole(ms.total),
    whole(ms.train),
    whole(ms.record),
    whole(ms.aggregate),
    whole(ms.ledger),
    String(round.commits),
    round.modelHash.slice(0, 12),
  ];
}

/** `₹331,797`, `5.06 kWh` */
function errorText(value: number, unit: string): string {
  return unit === 'rupees' ? `₹${money(value)}` : `${value.toFixed(2)} ${unit}`;
}

export function money(rupees: number): string {
  return Math.round(rupees).toLocaleString('en-US');
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
