// SPDX-License-Identifier: Apache-2.0
import {
  departuresIn,
  type CohortRecord,
  type CorrectionRecord,
  type IncidentRecord,
  type RoundRecord,
  type Scores,
  type Task,
} from '@sev/chaincode/api';
import { EXIT, SevError } from '../../errors.js';
import { incidents, learning, registry } from '../../ledger/index.js';
import { correctionsOf } from '../../services/corrections.js';
import { errorCode } from '../../services/log.js';
import { collect, updatesOf, type LearningContract, type ServiceSession } from '../../services/rounds.js';
import { suspicionBefore } from '../../services/secure-scores.js';
import { identitiesOf, type TracedIdentity } from './identity.js';

/** A round that the model comes from. */
export interface TracedRound {
  readonly round: number;
  readonly attempt: number;
  readonly modelHash: string;
  readonly baseModelHash: string;
  readonly cohort: number;
  /** Organisations with a part in it. */
  readonly openedBy: string;
  readonly aggregators: readonly string[];
  readonly validators: readonly string[];
  /** Validators that departed from the others. */
  readonly departed: readonly string[];
  readonly attestedBy: readonly string[];
  readonly finalisedAtMs: number;
}

/** A vehicle whose reports are in the model. */
export interface TracedContributor extends TracedIdentity {
  /** Rounds that it counted in, ascending. */
  readonly rounds: readonly number[];
  /** Of the weights of all rounds that the model comes from, in thousandths. */
  readonly shareMilli: number;
  /** Of its standing in the task: what all finalised rounds made of it since it was cleared, if it was. */
  readonly suspicionMilli: number;
  readonly contributionMicro: number;
  /** Why it counted less than its class, with how often. */
  readonly reasons: Readonly<Record<string, number>>;
  /** About it, of all tasks. */
  readonly incidents: readonly Pick<IncidentRecord, 'incidentId' | 'taskId' | 'state'>[];
}

/** From a model to those who made it. */
export interface ModelTrace {
  readonly kind: 'model';
  readonly taskId: string;
  readonly modelHash: string;
  /** Newest first, down to the model that the task began with. */
  readonly rounds: readonly TracedRound[];
  readonly corrections: readonly CorrectionRecord[];
  /** The most suspicious first. */
  readonly contributors: readonly TracedContributor[];
}

type Session = Pick<ServiceSession, 'evaluate' | 'submit'>;

/** What one round says of its cohort. */
interface Weighed {
  readonly members: readonly { readonly vehicleId: string; readonly weight: number }[];
  readonly scores: Scores | undefined;
}

/**
 * @param taskId task of the model; where it is not known all are asked.
 * @throws SevError MODEL_UNKNOWN.
 */
export async function traceModel(session: Session, modelHash: string, taskId?: string): Promise<ModelTrace> {
  const contract = learning(session);
  const task = await taskOfModel(contract, modelHash, taskId);
  const { rounds, corrections } = await lineageOf(session, task, modelHash);
  const weighed: { readonly round: number; readonly weighed: Weighed }[] = [];
  for (const record of rounds) {
    weighed.push({ round: record.round, weighed: await weighedIn(contract, task, record) });
  }
  const ids = new Set(weighed.flatMap((one) => one.weighed.members.map(({ vehicleId }) => vehicleId)));
  const [identities, all, suspicion] = await Promise.all([
    identitiesOf(registry(session), ids),
    collect(incidents(session).incidents()),
    suspicionBefore(contract, task),
  ]);
  const contributors = [...identities.values()].map((identity) =>
    contributorOf(
      identity,
      weighed,
      all.filter(({ vehicleId }) => vehicleId === identity.vehicleId),
      suspicion.get(identity.vehicleId) ?? 0,
    ),
  );
  return {
    kind: 'model',
    taskId: task.taskId,
    modelHash,
    rounds: rounds.map((record, index) => tracedRound(record, weighed[index]?.weighed.scores)),
    corrections,
    contributors: contributors
      .filter(({ rounds: counted, suspicionMilli }) => counted.length > 0 || suspicionMilli > 0)
      .sort(
        (a, b) =>
          b.suspicionMilli - a.suspicionMilli || b.shareMilli - a.shareMilli || (a.vehicleId < b.vehicleId ? -1 : 1),
      ),
  };
}

async function taskOfModel(contract: LearningContract, modelHash: string, taskId?: string): Promise<Task> {
  const tasks = taskId === undefined ? await collect(contract.tasks()) : [await contract.task(taskId)];
  for (const { task } of tasks) {
    try {
      await contract.model(task.taskId, modelHash);
      return task;
    } catch (error) {
      if (errorCode(error) !== 'MODEL_UNKNOWN') {
        throw error;
      }
    }
  }
  throw new SevError('MODEL_UNKNOWN', `no task on the ledger has a model ${modelHash}`, { exitCode: EXIT.refused });
}

/** The rounds that a model comes from, newest first, through corrections that kept a candidate. */
async function lineageOf(
  session: Session,
  task: Task,
  modelHash: string,
): Promise<{ readonly rounds: readonly RoundRecord[]; readonly corrections: readonly CorrectionRecord[] }> {
  const contract = learning(session);
  const findCorrection = correctionsOf(session);
  const rounds: RoundRecord[] = [];
  const corrections: CorrectionRecord[] = [];
  for (let hash = modelHash; hash !== task.model.initialModelHash;) {
    const { round: number } = await contract.model(task.taskId, hash);
    const record = number === 0 ? undefined : await contract.round({ taskId: task.taskId, round: number });
    const made = record?.proposal?.modelHash;
    if (record === undefined || made === undefined) {
      break;
    }
    if (made === hash) {
      rounds.push(record);
      hash = record.baseModelHash;
      continue;
    }
    const correction = await findCorrection(task, number);
    if (correction?.modelHash !== hash) {
      break;
    }
    corrections.push(correction);
    hash = made;
  }
  return { rounds, corrections };
}

async function weighedIn(contract: LearningContract, task: Task, record: RoundRecord): Promise<Weighed> {
  const weightOf = ({ weightClass }: CohortRecord['members'][number]): number =>
    task.aggregation.weightClasses[weightClass]?.weight ?? 0;
  if (record.secure === undefined) {
    const updates =
      record.he === undefined ? await updatesOf(contract, record) : (await contract.cohort(record)).members;
    const excluded = new Set(record.proposal?.excluded.map(({ vehicleId }) => vehicleId));
    const members = updates.map((update) => ({
      vehicleId: update.vehicleId,
      weight: excluded.has(update.vehicleId) ? 0 : weightOf(update),
    }));
    return { members, scores: undefined };
  }
  const [{ members }, { scores }] = await Promise.all([contract.cohort(record), contract.scores(record)]);
  return {
    members: members.map(({ vehicleId }, index) => ({ vehicleId, weight: scores.weights[index] ?? 0 })),
    scores,
  };
}

function contributorOf(
  identity: TracedIdentity,
  all: readonly { readonly round: number; readonly weighed: Weighed }[],
  own: readonly IncidentRecord[],
  suspicionMilli: number,
): TracedContributor {
  const ownRounds = [...all]
    .sort((a, b) => a.round - b.round)
    .map(({ round, weighed }) => ({
      round,
      ...partOf(identity.vehicleId, weighed),
    }));
  const sum = (of: (one: (typeof ownRounds)[number]) => number): number =>
    ownRounds.reduce((total, one) => total + of(one), 0);
  const reasons = new Map<string, number>();
  ownRounds.forEach(({ reason }) => {
    if (reason !== undefined) {
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  });
  const total = sum(({ ofWeights }) => ofWeights);
  return {
    ...identity,
    rounds: ownRounds.filter(({ weight }) => weight > 0).map(({ round }) => round),
    suspicionMilli,
    contributionMicro: sum(({ contributionMicro }) => contributionMicro),
    shareMilli: total === 0 ? 0 : Math.round((1_000 * sum(({ weight }) => weight)) / total),
    reasons: Object.fromEntries(reasons),
    incidents: own.map(({ incidentId, taskId, state }) => ({ incidentId, taskId, state })),
  };
}

/** What one round says of one vehicle; nothing where it was not in the cohort. */
function partOf(vehicleId: string, { members, scores }: Weighed) {
  const index = members.findIndex((member) => member.vehicleId === vehicleId);
  return {
    weight: members[index]?.weight ?? 0,
    ofWeights: members.reduce((sum, member) => sum + member.weight, 0),
    contributionMicro: scores?.evidence?.contributionMicro[index] ?? 0,
    reason: scores?.reasons.find((one) => one.vehicleId === vehicleId)?.reason,
  };
}

function tracedRound(record: RoundRecord, scores: Scores | undefined): TracedRound {
  const { round, attempt, baseModelHash, proposal, openedBy, attestations = [], finalisedAtMs = 0, secure } = record;
  const { aggregators = [], validations = [] } = secure?.opening ?? {};
  return {
    ...{ round, attempt, baseModelHash, modelHash: proposal?.modelHash ?? '', cohort: proposal?.cohortSize ?? 0 },
    openedBy,
    aggregators: names(aggregators),
    validators: names(validations),
    departed: secure === undefined || scores === undefined ? [] : [...departuresIn(secure, scores)],
    attestedBy: names(attestations),
    finalisedAtMs,
  };
}

function names(signers: readonly { readonly mspId: string }[]): string[] {
  return signers.map(({ mspId }) => mspId).sort();
}
