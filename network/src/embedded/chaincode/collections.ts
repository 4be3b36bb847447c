// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../durable.js';
import { NetworkError, systemErrorCode } from '../../errors.js';
import { endorsementPolicy, majority } from '../policies.js';
import { parsePolicy, peersOf, principalsOf, satisfies, type PolicyRule } from '../signature-policy.js';
import type { ChaincodeConfig } from '../types.js';

const IMPLICIT = '_implicit_org_';

/** Fabric's collections file (`--collections-config`). */
const definitionSchema = z.object({
  name: z
    .string()
    .regex(
      /^[A-Za-z0-9-]+[A-Za-z0-9_-]*$/,
      "Names can only consist of alphanumerics, '_', and '-' and cannot begin with '_'",
    ),
  policy: z.string(),
  requiredPeerCount: z.int().min(0).default(0),
  maxPeerCount: z.int().default(1),
  blockToLive: z.int().min(0).default(0),
  memberOnlyRead: z.boolean().default(false),
  memberOnlyWrite: z.boolean().default(false),
  endorsementPolicy: z
    .strictObject({ signaturePolicy: z.string() })
    .or(z.strictObject({ channelConfigPolicy: z.string() }))
    .optional(),
});
const definitionsSchema = z.array(definitionSchema);

type Definition = z.infer<typeof definitionSchema>;

/** A collection of private data. */
export interface Collection {
  readonly name: string;
  /** Whose peers keep the data, and whose clients are members. */
  readonly policy: PolicyRule;
  /** Organisations whose peers keep the data. */
  readonly keepers: readonly string[];
  readonly requiredPeerCount: number;
  /** Blocks after which data is gone; 0 keeps it. */
  readonly blockToLive: number;
  readonly memberOnlyRead: boolean;
  readonly memberOnlyWrite: boolean;
  /** Instead of the chaincode's. */
  readonly endorsementPolicy: PolicyRule | undefined;
}

/** What a channel knows of the chaincode that it runs. */
export interface ChaincodeDefinition {
  readonly name: string;
  readonly version: string;
  readonly policy: PolicyRule;
}

/** Collections of every chaincode that the ledger has run, and each organisation's implicit ones. */
export class Collections {
  readonly #byChaincode: ReadonlyMap<string, ReadonlyMap<string, Collection>>;
  readonly #implicit: ReadonlyMap<string, Collection>;

  constructor(mspIds: readonly string[], definitions: Readonly<Record<string, readonly Definition[]>> = {}) {
    this.#byChaincode = new Map(
      Object.entries(definitions).map(([chaincode, list]) => [
        chaincode,
        new Map(list.map((definition) => [definition.name, newCollection(definition, mspIds)])),
      ]),
    );
    this.#implicit = new Map(
      mspIds.map((mspId) => {
        const definition = definitionSchema.parse({ name: 'implicit', policy: `OR('${mspId}.member')` });
        const collection = { ...newCollection(definition, mspIds), endorsementPolicy: peersOf([mspId], 1) };
        return [`${IMPLICIT}${mspId}`, { ...collection, name: `${IMPLICIT}${mspId}` }];
      }),
    );
  }

  find(chaincode: string, name: string): Collection | undefined {
    return this.#implicit.get(name) ?? this.#byChaincode.get(chaincode)?.get(name);
  }

  /** Collections whose data does not stay. */
  *expiring(): Generator<{ chaincode: string; collection: Collection }> {
    for (const [chaincode, collections] of this.#byChaincode) {
      for (const collection of collections.values()) {
        if (collection.blockToLive > 0) {
          yield { chaincode, collection };
        }
      }
    }
  }
}

/**
 * Reads a chaincode's policy and collections. What was defined once may be changed but not dropped, nor given another
 * lifetime; `remember` notes it beside the ledger.
 * @throws NetworkError TOPOLOGY_INVALID with a peer's text.
 */
export async function defineChaincode(
  config: ChaincodeConfig,
  dataDir: string,
  mspIds: readonly string[],
): Promise<{ definition: ChaincodeDefinition; collections: Collections; remember: () => Promise<void> }> {
  const { name, version } = config;
  const file = join(dataDir, 'collections.json');
  const committed = z.record(z.string(), definitionsSchema).parse(JSON.parse(await contentOf(file, '{}')));
  try {
    const proposed =
      config.collections === undefined
        ? []
        : definitionsSchema.parse(JSON.parse(await readFile(config.collections, 'utf8')));
    checkCollections(proposed, committed[name] ?? [], mspIds);
    const policy = config.endorsementPolicy === undefined ? majority(mspIds) : parsePolicy(config.endorsementPolicy);
    const definitions = { ...committed, ...(proposed.length > 0 && { [name]: proposed }) };
    return {
      definition: { name, version, policy },
      collections: new Collections(mspIds, definitions),
      remember: async () => {
        if (JSON.stringify(definitions) !== JSON.stringify(committed)) {
          await writeFileAtomic(file, JSON.stringify(definitions, undefined, 2), 0o600);
        }
      },
    };
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new NetworkError('TOPOLOGY_INVALID', `chaincode ${name}: ${reason}`, { cause });
  }
}

/** The checks of Fabric's `_lifecycle`. */
function checkCollections(
  proposed: readonly Definition[],
  committed: readonly Definition[],
  mspIds: readonly string[],
): void {
  const names = new Set<string>();
  for (const { name, policy, maxPeerCount, requiredPeerCount } of proposed) {
    const refuse = (reason: string): never => {
      throw new Error(`collection-name: ${name} -- ${reason}`);
    };
    if (names.has(name)) {
      refuse('found duplicate in collection configuration');
    }
    names.add(name);
    if (maxPeerCount < requiredPeerCount) {
      refuse(
        `maximum peer count (${String(maxPeerCount)}) cannot be less than the required peer count (${String(requiredPeerCount)})`,
      );
    }
    const rule = parsePolicy(policy);
    const isOr = (inner: PolicyRule): boolean => !('rules' in inner) || (inner.n === 1 && inner.rules.every(isOr));
    if (!isOr(rule)) {
      refuse('error in member org policy: signature policy is not an OR concatenation');
    }
    const stranger = principalsOf(rule).find(({ mspId }) => !mspIds.includes(mspId));
    if (stranger !== undefined) {
      refuse(`collection member '${stranger.mspId}' is not part of the channel`);
    }
  }
  if (proposed.length === 0 && committed.length > 0) {
    throw new Error('the proposed collection config does not contain previously defined collections');
  }
  for (const { name, blockToLive } of committed) {
    const found = proposed.find((one) => one.name === name);
    if (found === undefined) {
      throw new Error(`existing collection [${name}] missing in the proposed collection configuration`);
    }
    if (found.blockToLive !== blockToLive) {
      throw new Error(
        `the BlockToLive in an existing collection [${name}] modified. Existing value [${String(blockToLive)}]`,
      );
    }
  }
}

function newCollection(definition: Definition, mspIds: readonly string[]): Collection {
  const policy = parsePolicy(definition.policy);
  const endorsement = definition.endorsementPolicy;
  return {
    ...definition,
    policy,
    keepers: mspIds.filter((mspId) => satisfies(policy, [{ mspId, ou: 'peer' }])),
    endorsementPolicy:
      endorsement &&
      ('signaturePolicy' in endorsement
        ? parsePolicy(endorsement.signaturePolicy)
        : endorsementPolicy(endorsement.channelConfigPolicy, mspIds)),
  };
}

async function contentOf(file: string, otherwise: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      return otherwise;
    }
    throw error;
  }
}
