// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';

const YEAR_SECONDS = 31_536_000;

/** 0 is left out: a topology names its ports; free ones are asked for by SEV_PORT_OFFSET=ephemeral. */
const port = z.int().min(1).max(65_535);

const organisation = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and "-", 32 at the most'),
  mspId: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/, 'must be letters and digits, 64 at the most'),
  ports: z.strictObject({ gateway: port, ca: port, chaincode: port }),
});

const ordering = z.strictObject({
  batchTimeoutMs: z.int().min(1).max(60_000).default(20),
  maxMessageCount: z.int().min(1).max(100_000).default(500),
  preferredMaxBytes: z.int().min(1_024).max(52_428_800).default(2_097_152),
  cutWhenIdle: z.boolean().default(false),
});

const certificates = z.strictObject({
  enrollmentValiditySeconds: z
    .int()
    .min(1)
    .max(10 * YEAR_SECONDS)
    .default(YEAR_SECONDS),
});

/** Reports the later of two organisations that share what must be unique. */
function refuseDuplicates(organisations: readonly z.infer<typeof organisation>[], context: z.RefinementCtx): void {
  const seen = new Map<string, string>();
  const claim = (key: string, what: string, owner: string, path: (string | number)[]): void => {
    const first = seen.get(key);
    if (first !== undefined) {
      context.addIssue({ code: 'custom', path, message: `${what} is already used by ${first}` });
    }
    seen.set(key, first ?? owner);
  };
  for (const [index, { name, mspId, ports }] of organisations.entries()) {
    claim(`name ${name}`, `the name "${name}"`, `another organisation`, [index, 'name']);
    claim(`msp ${mspId}`, `the MSP id "${mspId}"`, `organisation "${name}"`, [index, 'mspId']);
    for (const kind of ['gateway', 'ca', 'chaincode'] as const) {
      const number = ports[kind];
      claim(`port ${number.toString()}`, `port ${number.toString()}`, `${kind} of organisation "${name}"`, [
        index,
        'ports',
        kind,
      ]);
    }
  }
}

/** What a topology file holds. Unknown fields are refused: they are misspelt ones. */
export const topologySchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and "-", 32 at the most'),
  channel: z
    .string()
    .regex(/^[a-z][a-z0-9.-]{0,248}$/, 'must be a channel name: lower-case letters, digits, "." and "-"'),
  organisations: z.array(organisation).min(1).superRefine(refuseDuplicates),
  chaincode: z.strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9]+([-_][A-Za-z0-9]+)*$/, 'must be a chaincode name: letters, digits, "-" and "_"'),
    version: z.string().min(1),
    path: z.string().min(1),
  }),
  ordering: ordering.prefault({}),
  certificates: certificates.prefault({}),
});

/** A consortium's network: organisations, ports, chaincode, ordering. */
export type Topology = Readonly<z.infer<typeof topologySchema>> & {
  /** Absolute path of the file it was read from. */
  readonly file: string;
};

export type OrganisationTopology = Topology['organisations'][number];
