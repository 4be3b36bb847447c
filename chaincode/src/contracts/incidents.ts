// SPDX-License-Identifier: Apache-2.0
import { Info, Transaction } from 'fabric-contract-api';
import {
  ContractError,
  correctModel,
  getCorrection,
  getIncident,
  incidentStep,
  listCulprits,
  listIncidents,
  openedUpdatesOf,
  openIncident,
  voteIncident,
  type IncidentRecord,
  type IncidentStep,
  type IncidentView,
  type Member,
} from '../api';
import { encodeResult, parseArgument } from '../codec';
import { correctedModelOf, correctModel as decideCorrection, type BaseFacts } from '../domain/correction';
import { newBase } from '../domain/base';
import * as rules from '../domain/incidents';
import { ConsortiumContract, LedgerContext, transitionFacts } from './context';
import { clearVehicle, condemnVehicle } from './verdicts';

/** Incidents: what organisations vote to open of a suspected vehicle, what they find, and how the model is corrected. */
@Info({ title: 'incidents', description: 'Suspected vehicles: votes, findings, corrections of models' })
export class IncidentsContract extends ConsortiumContract {
  constructor() {
    super('incidents');
  }

  @Transaction()
  async OpenIncident(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(openIncident, argument);
    const { incidents, learning } = ctx;
    const { incidentId, taskId, vehicleId, disputed } = input;
    const [existing, { task }, standing, facts] = await Promise.all([
      incidents.find(incidentId),
      learning.task(taskId),
      learning.findStanding(taskId, vehicleId),
      Promise.all(
        disputed.map(async ({ round, attempt }) => {
          const [record, cohort, opened] = await Promise.all([
            learning.findRound(taskId, round),
            learning.findCohort({ taskId, round, attempt }),
            incidents.findOpened({ taskId, round, attempt }, vehicleId),
          ]);
          return { round: record, cohort, opened };
        }),
      ),
    ]);
    const opened = { by: ctx.caller.mspId, nowMs: ctx.state.nowMs, standing };
    const record = rules.openIncident(task, input, existing, facts, opened);
    if (record !== existing) {
      await incidents.put(record);
      ctx.state.emit({ type: 'IncidentOpened', taskId, incidentId, state: record.state });
    }
    return encodeResult(record);
  }

  /** The vote that makes a majority takes the step, with all that follows from it, in the same transaction. */
  @Transaction()
  async VoteIncident(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(voteIncident, argument);
    const { incidents, governance, state } = ctx;
    const [incident, members] = await Promise.all([incidents.incident(input.incidentId), governance.members()]);
    const voter = members.find(({ mspId }) => mspId === ctx.caller.mspId);
    if (voter === undefined) {
      throw new ContractError('ORGANISATION_UNKNOWN', ctx.caller.mspId);
    }
    const votes = await incidents.votes(incident.incidentId, input.step, members);
    const existing = votes.find(({ mspId }) => mspId === voter.mspId);
    const cast = rules.castVote(incident, input, existing, voter, state.nowMs);
    if (cast !== existing) {
      await incidents.putVote(cast);
    }
    const counted = [...votes.filter((vote) => vote !== existing), cast];
    const next = rules.stepTaken(incident, cast, counted, members, state);
    if (next !== incident) {
      await openUpdates(ctx, next, input.step);
      await incidents.put(next);
      await this.#applyDecision(ctx, next);
      const { taskId, incidentId, vehicleId } = next;
      state.emit({ type: 'IncidentStep', taskId, incidentId, vehicleId, state: next.state });
    }
    return encodeResult(next);
  }

  /** Writes from which model the task goes on, and whose base it is. */
  @Transaction()
  async CorrectModel(ctx: LedgerContext, argument: string): Promise<string> {
    const input = parseArgument(correctModel, argument);
    const { incidents, learning } = ctx;
    const { incidentId, afterRound, rollbackHash, candidateHash } = input;
    const incident = await incidents.incident(incidentId);
    const { taskId, disputed } = incident;
    const [{ task }, existing, first, last, next, validators, rollback, candidate, facts] = await Promise.all([
      learning.task(taskId),
      incidents.findCorrection(taskId, afterRound),
      learning.findRound(taskId, disputed[0]?.round ?? 0),
      learning.findRound(taskId, afterRound),
      learning.findRound(taskId, afterRound + 1),
      learning.allValidators(taskId),
      baseFacts(ctx, taskId, rollbackHash),
      baseFacts(ctx, taskId, candidateHash),
      transitionFacts(ctx),
    ]);
    const about = { ...facts, existing, first, last, next, validators, rollback, candidate };
    const record = decideCorrection(task, incident, input, about);
    if (record === existing) {
      return encodeResult(existing);
    }
    const { modelHash, kept } = record;
    const { base } = kept === 'rollback' ? rollback : candidate;
    const model = await learning.findModel(taskId, modelHash);
    await Promise.all([
      incidents.putCorrection(record),
      incidents.put({ ...incident, correctedWith: modelHash, correctedAfter: afterRound }),
      model === undefined && last !== undefined ? learning.putModel(correctedModelOf(record, last)) : undefined,
      // After its last round nothing more is trained from the model: it is for another task to begin with.
      base === undefined && afterRound < task.plannedRounds
        ? learning.putBase(newBase({ taskId, baseModelHash: modelHash }))
        : undefined,
    ]);
    ctx.state.emit({ type: 'ModelCorrected', taskId, incidentId, state: kept });
    return encodeResult(record);
  }

  @Transaction(false)
  async GetIncident(ctx: LedgerContext, argument: string): Promise<string> {
    const { incidentId } = parseArgument(getIncident, argument);
    const [incident, members] = await Promise.all([ctx.incidents.incident(incidentId), ctx.governance.members()]);
    return encodeResult(await viewOf(ctx, incident, members));
  }

  @Transaction(false)
  async ListIncidents(ctx: LedgerContext, argument: string): Promise<string> {
    const { pageSize, bookmark } = parseArgument(listIncidents, argument);
    return encodeResult(await ctx.incidents.incidents(pageSize, bookmark));
  }

  @Transaction(false)
  async ListCulprits(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId } = parseArgument(listCulprits, argument);
    return encodeResult(await ctx.incidents.culprits(taskId));
  }

  @Transaction(false)
  async GetCorrection(ctx: LedgerContext, argument: string): Promise<string> {
    const { taskId, afterRound } = parseArgument(getCorrection, argument);
    return encodeResult(await ctx.incidents.correction(taskId, afterRound));
  }

  async #applyDecision(ctx: LedgerContext, incident: IncidentRecord): Promise<void> {
    if (incident.state === 'confirmed') {
      await condemnVehicle(ctx, incident);
    } else if (incident.state === 'cleared') {
      await clearVehicle(ctx, incident);
    }
  }
}

/** What a step opens is kept, so that no other incident opens more of it, and no other vehicle loses its cover. */
async function openUpdates(ctx: LedgerContext, incident: IncidentRecord, step: IncidentStep): Promise<void> {
  const { incidents, learning } = ctx;
  if (step !== 'projections' && step !== 'vectors') {
    return;
  }
  const refs = incident.disputed.map((at) => ({ taskId: incident.taskId, ...at }));
  rules.requireUnopened(incident, await Promise.all(refs.map((ref) => incidents.findOpened(ref, incident.vehicleId))));
  if (step === 'vectors') {
    const { task } = await learning.task(incident.taskId);
    const sums = await Promise.all(
      refs.map((ref) => Promise.all([learning.cohort(ref), learning.scores(ref), incidents.openedIn(ref)])),
    );
    sums.forEach(([cohort, scores, opened]) => {
      rules.requireCover(task, incident, { cohort, scores }, opened);
    });
  }
  await Promise.all(openedUpdatesOf(incident).map((record) => incidents.putOpened(record)));
}

async function viewOf(
  { incidents }: LedgerContext,
  incident: IncidentRecord,
  members: readonly Member[],
): Promise<IncidentView> {
  const votes = await Promise.all(
    incidentStep.options.map((step) => incidents.votes(incident.incidentId, step, members)),
  );
  return { ...incident, votes: votes.flat() };
}

async function baseFacts({ learning }: LedgerContext, taskId: string, modelHash: string): Promise<BaseFacts> {
  const [base, shown] = await Promise.all([learning.findBase(modelHash), learning.findShownSums(taskId, modelHash)]);
  return { base, shown };
}
