// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  envelope as envelopeSchema,
  vehicleId,
  type Envelope,
  type ItemResult,
  type RoundRecord,
  type Task,
  type UpdateRecord,
} from '../api';
import { describeIssue } from '../codec';
import { itemResult } from '../domain/batch';
import { decideUpdate, type DecidedUpdate, type UpdateFacts, type UpdateTerms } from '../domain/update';
import type { LedgerContext } from './context';

interface Item {
  readonly id: string;
  readonly read: () => Envelope;
  readonly facts: UpdateFacts | undefined;
}

const UNKNOWN: UpdateFacts = {
  vehicle: undefined,
  member: false,
  recorded: undefined,
  standing: undefined,
  data: undefined,
};

/** Decides a batch of envelopes in order and writes the updates that are new. */
export async function recordEnvelopes(
  ctx: LedgerContext,
  round: RoundRecord,
  task: Task,
  values: readonly unknown[],
): Promise<ItemResult[]> {
  const [terms, items] = await Promise.all([
    termsOf(ctx, round, task),
    Promise.all(values.map((value, index) => readItem(ctx, round, task, value, index))),
  ]);
  const accepted = new Set<string>();
  const decided: DecidedUpdate[] = [];
  const results = items.map(({ id, read, facts }) =>
    itemResult(id, () => {
      const envelope = read();
      if (accepted.has(envelope.vehicleId)) {
        throw new ContractError('UPDATE_DUPLICATE', 'an update of this vehicle occurs before in this batch');
      }
      const known = facts ?? UNKNOWN;
      const decision = decideUpdate(terms, envelope, known);
      accepted.add(envelope.vehicleId);
      if (decision.update !== known.recorded) {
        decided.push(decision);
      }
    }),
  );
  await Promise.all(decided.map((one) => write(ctx, one)));
  return results;
}

/** Decides one envelope and writes the update if it is new; a refusal is thrown. */
export async function recordEnvelope(
  ctx: LedgerContext,
  round: RoundRecord,
  task: Task,
  envelope: Envelope,
): Promise<{ update: UpdateRecord; isNew: boolean }> {
  const [terms, facts] = await Promise.all([
    termsOf(ctx, round, task),
    readFacts(ctx, round, task, envelope.vehicleId),
  ]);
  const decided = decideUpdate(terms, envelope, facts);
  const { update } = decided;
  const isNew = update !== facts.recorded;
  if (isNew) {
    await write(ctx, decided);
  }
  return { update, isNew };
}

async function write({ learning }: LedgerContext, { update, data }: DecidedUpdate): Promise<void> {
  await Promise.all([learning.putUpdate(update), data === undefined ? undefined : learning.putVehicleData(data)]);
}

async function termsOf(ctx: LedgerContext, round: RoundRecord, task: Task): Promise<UpdateTerms> {
  return { consortium: await ctx.governance.consortiumHash(), round, task, nowMs: ctx.state.nowMs };
}

async function readItem(
  ctx: LedgerContext,
  round: RoundRecord,
  task: Task,
  value: unknown,
  index: number,
): Promise<Item> {
  const parsed = envelopeSchema.safeParse(value);
  if (!parsed.success) {
    const read = (): never => {
      throw new ContractError('ENVELOPE_MALFORMED', describeIssue(parsed.error));
    };
    return { id: nameOf(value, index), read, facts: undefined };
  }
  const facts = await readFacts(ctx, round, task, parsed.data.vehicleId);
  return { id: parsed.data.vehicleId, read: () => parsed.data, facts };
}

async function readFacts(ctx: LedgerContext, round: RoundRecord, task: Task, id: string): Promise<UpdateFacts> {
  const isDrawn = round.secure?.drawn?.includes(id) === true;
  const [vehicle, recorded, standing, data] = await Promise.all([
    ctx.registry.findVehicle(id),
    ctx.learning.findUpdate(round.taskId, round.round, round.attempt, id),
    task.secure?.validation === undefined ? undefined : ctx.learning.findStanding(round.taskId, id),
    isDrawn ? ctx.learning.findVehicleData(round.taskId, id) : undefined,
  ]);
  const organisation = vehicle && (await ctx.governance.member(vehicle.mspId));
  const member = organisation?.roles.includes('vehicle') === true;
  return { vehicle, member, recorded, standing, data };
}

/** A malformed envelope goes by its vehicle's id where that much can be read, else by its place in the batch. */
function nameOf(value: unknown, index: number): string {
  const candidate = value !== null && typeof value === 'object' && 'vehicleId' in value ? value.vehicleId : undefined;
  const parsed = vehicleId.safeParse(candidate);
  return parsed.success ? parsed.data : `#${index}`;
}
