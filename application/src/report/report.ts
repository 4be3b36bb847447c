// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

/** Accuracy on the common test rows. */
const accuracy = z.strictObject({
  r2: z
    .number()
    .describe('Coefficient of determination on the scale that the model sees: of ln(price), of the energy.'),
  mae: z.number().nonnegative().describe('Mean absolute error, in the unit.'),
});
export type Accuracy = z.infer<typeof accuracy>;

const served = accuracy.extend({
  meanMae: z.number().nonnegative().describe('Mean over clients, each counting once.'),
  worstTenthMae: z.number().nonnegative().describe('Mean over the tenth of clients with the largest error.'),
});
const count = z.int().nonnegative();
const ms = z.number().nonnegative();
const hash = z.string().regex(/^[0-9a-f]{64}$/);

const judged = z
  .strictObject({
    lossMicro: count.describe("Median of the validators' losses of the round's base model, in millionths."),
    departed: z.array(z.string()).describe("Validators whose loss, or direction, departs from the others'."),
    drawn: z
      .strictObject({
        asked: count.describe('Vehicles that were drawn.'),
        heard: count.describe('Those of the cohort that gave their loss.'),
        lossMicro: count.optional().describe('Median of their losses of the base model; missing where none gave one.'),
        departed: z.array(z.string()).describe("Those whose loss departs from the others'; nothing else follows."),
        isDoubted: z
          .boolean()
          .describe("Whether the validators' median is more than nine times theirs, or less than a ninth."),
      })
      .optional()
      .describe("Where vehicles were drawn to say the base model's loss on their own rows."),
    lowered: z.record(z.string(), count).describe('Vehicles that counted less than their class, by reason.'),
    quarantined: z.array(z.string()).describe('Vehicles in quarantine from this round on.'),
  })
  .describe('Where the task has validators: what was found of them and of the vehicles.');

const roundReport = z.strictObject({
  round: z.int().min(1),
  attempt: z.int().min(1).describe('1, plus one for every time the round was aborted before.'),
  cohort: count.describe('Updates that the ledger recorded.'),
  excluded: count.describe('Recorded updates that did not enter the model.'),
  modelHash: hash,
  r2: accuracy.shape.r2,
  mae: accuracy.shape.mae,
  transactions: count.describe('Valid transactions of the attempt, counted by the audit in the blocks.'),
  commits: count.describe('Distinct blocks that hold them: sequential commits.'),
  uploadBytesPerVehicle: count.describe('Update and envelope of one vehicle.'),
  judged: judged.optional(),
  ms: z
    .strictObject({ train: ms, record: ms, aggregate: ms, ledger: ms, total: ms })
    .describe('Wall time of the phases as the coordinator saw them.'),
  measured: z
    .enum(['whole', 'part', 'none'])
    .describe(
      'part: the coordinator came to the round after it was opened, its times miss the beginning. none: it was killed ' +
        "before it left its times; total is by the ledger's clock, the phases are 0, and the upload leaves the envelope out.",
    ),
});
export type RoundReport = z.infer<typeof roundReport>;

/** What `sev round run` writes to `report.json`. */
export const reportSchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    createdAt: z.iso.datetime(),
    network: z.strictObject({
      kind: z.enum(['embedded', 'fabric']),
      trust: z
        .enum(['single-operator', 'consortium'])
        .describe(
          'single-operator: one operator holds all keys; it proves contracts and clients, not decentralised trust.',
        ),
      organisations: z.array(z.string()).min(1),
      height: count.describe('Blocks on the channel after the run.'),
    }),
    task: z.string().describe('Kind of task: price, demand or table.'),
    unit: z.string().describe('What errors are in: rupees, kWh, or what the schema says.'),
    taskId: z.string(),
    data: z.strictObject({
      source: z.string().describe("The file's name, or the generator's settings."),
      rows: count,
      testRows: count,
    }),
    split: z.string().describe('iid, or the column by which the training rows are divided among vehicles.'),
    seed: count,
    vehicles: count,
    aggregation: z
      .enum(['plain', 'secure', 'dp', 'he'])
      .describe(
        'Privacy mode. plain: updates are visible to the store, the coordinator and the attesters. secure: no aggregator ' +
          'by itself sees an update; a few random projections of each are opened. dp: none is, and sums carry noise. he: ' +
          'updates are summed under encryption; no organisation by itself sees one while all follow the protocol.',
      ),
    privacy: z
      .strictObject({ epsilon: z.number(), delta: z.number(), chargedMicroRho: count, budgetMicroRho: count })
      .optional()
      .describe('Mode dp: what the task has spent by the ledger, adjacency: one vehicle replaced by zeros.'),
    hostile: z
      .strictObject({
        attack: z.string().describe('One of those that `sev attack list` names.'),
        share: z.number().min(0).max(1).describe('Of the vehicles, or of the validators.'),
        vehicles: z.array(z.string()).describe('Ids of those that attacked, drawn by the seed.'),
        validators: z.array(z.string()).optional().describe('The same of organisations, where validators attacked.'),
        from: z.int().min(1).describe('First round in which they attacked.'),
      })
      .optional()
      .describe('An exercise: these attacked on purpose.'),
    rounds: z.array(roundReport),
    baselines: z
      .strictObject({
        central: accuracy.extend({ epochs: count }).describe('One model on all training rows in one place.'),
        alone: accuracy
          .extend({ epochs: count })
          .describe('Mean over the vehicles, each training alone for as many epochs as the federation gives it.'),
      })
      .optional()
      .describe('Missing where the run was asked not to compute them.'),
    personalised: served
      .extend({ epochs: count, before: served.describe('The last model as it is, on the same rows.') })
      .optional()
      .describe(
        "The last model after each client trained it for so many epochs on its own rows; on each client's test rows.",
      ),
    vehicle: z
      .strictObject({ cpuMs: ms, peakMemoryMb: ms, bytesUp: count, bytesDown: count })
      .optional()
      .describe(
        'What a round costs a vehicle, medians over the rounds: processor time, payload sent and got. The memory is the peak of ' +
          'the program that runs all vehicles.',
      ),
    audit: z.strictObject({
      ok: z.boolean(),
      checked: count.describe('Blocks, transactions, signatures, records and objects that were checked.'),
      details: z.record(z.string(), count),
      firstFailure: z
        .strictObject({ kind: z.string(), where: z.string(), code: z.string(), detail: z.string() })
        .optional(),
    }),
    ms: z
      .strictObject({ setUp: ms, rounds: ms, baselines: ms, audit: ms, total: ms })
      .describe('Wall time of the parts of the run; baselines are computed beside the audit, after the rounds.'),
  })
  .describe('Result of a federated training run, audited.');
export type Report = z.infer<typeof reportSchema>;

/** The report's JSON Schema (draft 2020-12), as published in docs/report.schema.json. */
export function reportJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(reportSchema);
  return { $schema, title: 'sev round run report', ...rest };
}
