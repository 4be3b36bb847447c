// SPDX-License-Identifier: Apache-2.0
import {
  answersQuarantine,
  canonicalJson,
  medianReward,
  payRound,
  poolAccount,
  rewardsOf,
  vehicleAccount,
  vestsAtRound,
} from '@sev/chaincode/api';
import {
  attemptKey,
  recordError,
  roundKey,
  standingKey,
  type DomainState,
  type DomainTransaction,
  type RecordWrite,
} from './domain-context.js';
import type { AuditError } from './failure.js';
import { lastFinalised } from './incident-rules.js';
import type { Audited } from './records.js';

type Entry = Audited<'journalEntry'>;
type PaidRound = Audited<'paidRound'>;
type Incident = Audited<'incident'>;

/** Movements that follow from a transaction, and the round that it pays. */
interface Expected {
  readonly entries: readonly Entry[];
  readonly paid: readonly PaidRound[];
}

/**
 * Movements follow from what scores say of contributions, and from what incidents decide; all of them, each once, and nothing
 * else moves. Each leaves one account of its task and enters another, so that balances always add up to nothing.
 *
 * @param decided - the incident that the transaction has confirmed or cleared.
 * @throws AuditError REWARD_INVALID, RECORD_OVERWRITTEN, RECORD_UNKNOWN
 */
export function checkRewardWrites(
  state: DomainState,
  transaction: DomainTransaction,
  writes: { readonly entries: readonly RecordWrite<Entry>[]; readonly paid: readonly RecordWrite<PaidRound>[] },
  decided: Incident | undefined,
): void {
  for (const { record, before } of writes.entries) {
    if (before !== undefined) {
      throw recordError(transaction, 'RECORD_OVERWRITTEN', `movement ${entryKey(record)}`);
    }
    requireMovement(transaction, record);
  }
  const { entries, paid } = expectedBy(state, transaction, decided);
  const written = writes.entries.map(({ record }) => record);
  if (canonicalJson(inOrder(written)) !== canonicalJson(inOrder(entries))) {
    const keys = [...new Set([...written, ...entries].map(entryKey))].sort().join(', ');
    throw rewardError(transaction, `movements other than those that follow: ${keys}`);
  }
  if (canonicalJson(writes.paid.map(({ record }) => record)) !== canonicalJson(paid)) {
    throw rewardError(transaction, 'what the round paid is not what follows from its scores');
  }
  paid.forEach((record) => state.paidRounds.set(roundKey(record), record));
  entries.forEach((entry) => {
    state.journal.set(entryKey(entry), entry);
  });
}

/** What leaves one account enters another, and these are the pool of the task and the account of the vehicle. */
function requireMovement(transaction: DomainTransaction, entry: Entry): void {
  const { kind, taskId, vehicleId, from, to, amountMicro } = entry;
  const accounts = [poolAccount(taskId), vehicleAccount(taskId, vehicleId)];
  const expected = kind === 'forfeit' ? accounts.reverse() : accounts;
  if (canonicalJson([from, to]) !== canonicalJson(expected) || amountMicro < 1) {
    throw rewardError(transaction, `${kind} ${entryKey(entry)} moves ${String(amountMicro)} from ${from} to ${to}`);
  }
}

function expectedBy(state: DomainState, transaction: DomainTransaction, decided: Incident | undefined): Expected {
  if (transaction.name === 'rewards:PayRound') {
    return paymentOf(state, transaction);
  }
  switch (decided?.state) {
    case 'confirmed':
      return { entries: forfeitsOf(state, decided), paid: [] };
    case 'cleared':
      return { entries: compensationsOf(state, decided), paid: [] };
    default:
      return { entries: [], paid: [] };
  }
}

function paymentOf(state: DomainState, transaction: DomainTransaction): Expected {
  const { taskId, round } = payRound.parse(transaction.argument);
  if (state.paidRounds.has(roundKey({ taskId, round }))) {
    return { entries: [], paid: [] };
  }
  const task = state.tasks.get(taskId);
  const record = state.rounds.get(roundKey({ taskId, round }));
  const scoresHash = record?.secure?.scoresHash;
  if (task?.rewards === undefined || record?.state !== 'finalised' || scoresHash === undefined) {
    throw rewardError(transaction, `round ${roundKey({ taskId, round })} is not one that is paid`);
  }
  const amounts = amountsOf(state, record);
  const members = state.cohorts.get(attemptKey(record))?.members ?? [];
  const vestsAt = vestsAtRound(task.rewards, task, round);
  const entries = members.flatMap(({ vehicleId }, index): Entry[] => {
    const amountMicro = amounts[index] ?? 0;
    const culprit = state.culprits.get(standingKey({ taskId, vehicleId }));
    const isForfeit = culprit !== undefined && vestsAt > culprit.afterRound;
    const earned = { taskId, round, vehicleId, amountMicro, vestsAtRound: vestsAt, because: scoresHash };
    return amountMicro === 0 || isForfeit ? [] : [earning('reward', earned)];
  });
  const paid: PaidRound = {
    ...{ docType: 'paidRound', schemaVersion: 1, taskId, round, scoresHash },
    paidMicro: entries.reduce((sum, { amountMicro }) => sum + amountMicro, 0),
    medianMicro: medianReward(amounts),
    vehicles: entries.length,
  };
  return { entries, paid: [paid] };
}

/** What had not vested when an incident was confirmed, and was not forfeited before. */
function forfeitsOf(state: DomainState, incident: Incident): readonly Entry[] {
  const { taskId, vehicleId, incidentId } = incident;
  const last = lastFinalised(state, incident);
  const own = [...state.journal.values()].filter((entry) => entry.taskId === taskId && entry.vehicleId === vehicleId);
  const gone = new Set(own.filter(({ kind }) => kind === 'forfeit').map(({ round }) => round));
  const lost = own.filter(
    ({ kind, round, vestsAtRound }) => kind !== 'forfeit' && vestsAtRound > last && !gone.has(round),
  );
  return [...new Map(lost.map((entry) => [entry.round, entry])).values()].map(({ from, to, ...entry }) => {
    const ofRound = lost.filter(({ round }) => round === entry.round);
    const amountMicro = ofRound.reduce((sum, one) => sum + one.amountMicro, 0);
    return { ...entry, kind: 'forfeit', amountMicro, from: to, to: from, because: incidentId };
  });
}

/**
 * What a cleared vehicle gets for the finalised rounds that its quarantine kept it from, and for disputed ones that counted it
 * less. The quarantine is that of the standing as it was, so this is to be asked before the standing is written.
 */
function compensationsOf(state: DomainState, incident: Incident): readonly Entry[] {
  const { taskId, vehicleId, incidentId } = incident;
  const task = state.tasks.get(taskId);
  const standing = state.standings.get(standingKey(incident));
  if (task?.rewards === undefined || standing === undefined || state.culprits.has(standingKey(incident))) {
    return [];
  }
  const terms = task.rewards;
  const from = answersQuarantine(incident, standing) ? standing.quarantined?.round : undefined;
  const last = lastFinalised(state, incident);
  const missed = Array.from({ length: Math.max(0, last - (from ?? last)) }, (_, i) => last - i);
  const owed = [
    ...missed.map((round) => [round, missedIn(state, incident, round)] as const),
    ...incident.disputed.map(({ round }) => [round, shortfallIn(state, incident, round)] as const),
  ];
  return owed.flatMap(([round, amountMicro]): Entry[] => {
    const vestsAt = vestsAtRound(terms, task, round);
    const earned = { taskId, round, vehicleId, amountMicro, vestsAtRound: vestsAt, because: incidentId };
    return amountMicro === 0 ? [] : [earning('compensation', earned)];
  });
}

/** The worth of a round that recorded no update of the vehicle; 0 of others. */
function missedIn(state: DomainState, { taskId, vehicleId }: Incident, round: number): number {
  const record = state.rounds.get(roundKey({ taskId, round }));
  const hasReported = record !== undefined && state.updates.get(attemptKey(record))?.has(vehicleId) === true;
  return record === undefined || hasReported ? 0 : medianReward(amountsOf(state, record));
}

/** What a round that counted the vehicle less than its class leaves it short of the median, unless that was made good before. */
function shortfallIn(state: DomainState, { taskId, vehicleId }: Incident, round: number): number {
  const record = state.rounds.get(roundKey({ taskId, round }));
  const before = [...state.journal.values()].some(
    (entry) =>
      entry.kind === 'compensation' &&
      entry.taskId === taskId &&
      entry.round === round &&
      entry.vehicleId === vehicleId,
  );
  if (record === undefined || before) {
    return 0;
  }
  const members = state.cohorts.get(attemptKey(record))?.members ?? [];
  const index = members.findIndex((member) => member.vehicleId === vehicleId);
  const classes = state.tasks.get(taskId)?.aggregation.weightClasses ?? [];
  const inFull = classes[members[index]?.weightClass ?? -1]?.weight ?? 0;
  const weight = state.scores.get(attemptKey(record))?.scores.weights[index] ?? 0;
  const amounts = amountsOf(state, record);
  return weight < inFull ? Math.max(0, medianReward(amounts) - (amounts[index] ?? 0)) : 0;
}

/** What follows from a round's scores for the members of its cohort, in their order. */
function amountsOf({ tasks, scores }: DomainState, round: Audited<'round'>): readonly number[] {
  const { evidence } = scores.get(attemptKey(round))?.scores ?? {};
  return rewardsOf(tasks.get(round.taskId)?.rewards?.poolMicro ?? 0, evidence?.contributionMicro ?? []);
}

type Earning = Pick<Entry, 'taskId' | 'round' | 'vehicleId' | 'amountMicro' | 'vestsAtRound' | 'because'>;

function earning(kind: 'reward' | 'compensation', earned: Earning): Entry {
  const { taskId, vehicleId } = earned;
  const accounts = { from: poolAccount(taskId), to: vehicleAccount(taskId, vehicleId) };
  return { docType: 'journalEntry', schemaVersion: 1, kind, ...earned, ...accounts };
}

function entryKey({ taskId, round, vehicleId, kind }: Entry): string {
  return `${taskId}/${String(round)}/${vehicleId}/${kind}`;
}

function inOrder(entries: readonly Entry[]): readonly Entry[] {
  return [...entries].sort((a, b) => (entryKey(a) < entryKey(b) ? -1 : 1));
}

function rewardError(transaction: DomainTransaction, detail: string): AuditError {
  return recordError(transaction, 'REWARD_INVALID', detail);
}
