// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { formatJson, JsonFileError, readJson } from '../supervisor/json.js';
import { decodeMessage } from './configtxlator.js';
import type { FabricPrograms } from './programs.js';
import { checkSignedPart, signedPartSchema } from './signed-part.js';

/** What a proposed change of the channel is meant to do. */
const intention = z.discriminatedUnion('kind', [
  /** Puts an organisation into the channel, without its orderer. */
  z.strictObject({ kind: z.literal('add'), signed: signedPartSchema }),
  /** Makes the orderer of an organisation in the channel a consenter. */
  z.strictObject({ kind: z.literal('add-orderer'), signed: signedPartSchema }),
  /** Gives the orderer of an organisation other certificates. */
  z.strictObject({ kind: z.literal('rotate-orderer'), signed: signedPartSchema }),
  z.strictObject({ kind: z.literal('remove'), mspId: z.string(), acceptNoFaultTolerance: z.boolean() }),
]);
export type Intention = Readonly<z.infer<typeof intention>>;

const schema = z.strictObject({
  kind: z.literal('sev-channel-update'),
  channel: z.string(),
  intention,
  baseSequence: z.int().min(0),
  /** `common.Envelope` with a `CONFIG_UPDATE` and the signatures so far, base64. */
  envelope: z.base64(),
});
/** A proposed change as it goes from organisation to organisation to be signed. */
export type UpdateFile = Readonly<z.infer<typeof schema>>;

/** @throws NetworkError UPDATE_INVALID, PART_INVALID */
export async function readUpdateFile(file: string): Promise<UpdateFile> {
  let update: UpdateFile | undefined;
  try {
    update = await readJson(file, schema);
  } catch (error) {
    if (error instanceof JsonFileError) {
      throw new NetworkError('UPDATE_INVALID', `${error.message}; it is no proposed change`, { cause: error });
    }
    throw error;
  }
  if (update === undefined) {
    throw new NetworkError('UPDATE_INVALID', `there is no file ${file}`);
  }
  if (update.intention.kind !== 'remove') {
    checkSignedPart(update.intention.signed, file);
  }
  return update;
}

export async function writeUpdateFile(file: string, update: UpdateFile): Promise<void> {
  await writeFileAtomic(file, formatJson(update));
}

const envelopeSchema = z.object({
  payload: z.object({
    header: z.object({ channel_header: z.object({ channel_id: z.string() }) }),
    data: z.object({
      config_update: z.unknown(),
      signatures: z
        .array(z.object({ signature_header: z.object({ creator: z.object({ mspid: z.string() }) }) }))
        .nullish(),
    }),
  }),
});

/** What an envelope would change, and who has signed it. */
export interface EnvelopeContent {
  readonly change: unknown;
  /** MSP ids, sorted. */
  readonly signers: readonly string[];
}

/** @throws NetworkError UPDATE_INVALID */
export async function readEnvelope(programs: FabricPrograms, envelope: Uint8Array): Promise<EnvelopeContent> {
  let document: unknown;
  try {
    document = await decodeMessage(programs, 'common.Envelope', envelope);
  } catch (error) {
    throw new NetworkError('UPDATE_INVALID', 'the change in the file cannot be read', { cause: error });
  }
  const parsed = envelopeSchema.safeParse(document);
  if (!parsed.success) {
    throw new NetworkError('UPDATE_INVALID', 'the file holds no change of a channel');
  }
  const { header, data } = parsed.data.payload;
  const signers = (data.signatures ?? []).map(({ signature_header: { creator } }) => creator.mspid);
  return {
    change: { channel: header.channel_header.channel_id, update: data.config_update },
    signers: [...new Set(signers)].sort(),
  };
}
