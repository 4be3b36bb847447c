// SPDX-License-Identifier: Apache-2.0
import type { ChaincodeDefinition, Collections } from '../chaincode/collections.js';
import { hashSpace } from '../ledger/keys.js';
import { decodeMetadata, type StateReader } from '../ledger/state.js';
import { effectsOf, type StateKey } from '../ledger/transactions.js';
import type { NamespaceSet } from '../protocol/transaction.js';
import { decodePolicy, satisfies, type PolicyRule } from '../signature-policy.js';
import type { Identity } from '../types.js';

/**
 * Whether transactions of one block are endorsed as their writes demand (Fabric's key-level validation): a key with a
 * policy of its own needs that, another key of a collection with one the collection's, all others the chaincode's.
 */
export class EndorsementChecker {
  readonly #chaincode: ChaincodeDefinition;
  readonly #collections: Collections;
  readonly #state: StateReader;
  /** Keys whose metadata an endorsed transaction of this block has written: their policies are not known yet. */
  readonly #renewed = new Set<string>();

  constructor(chaincode: ChaincodeDefinition, collections: Collections, state: StateReader) {
    this.#chaincode = chaincode;
    this.#collections = collections;
    this.#state = state;
  }

  isEndorsed(endorsers: readonly Identity[], sets: readonly NamespaceSet[]): boolean {
    const { name, policy } = this.#chaincode;
    const written = effectsOf(sets.filter(({ namespace }) => namespace === name)).writes;
    const policies = new Set<PolicyRule | undefined>(written.map((at) => this.#policyOf(at)));
    if (policies.size === 0) {
      policies.add(policy);
    }
    return [...policies].every((one) => one !== undefined && satisfies(one, endorsers));
  }

  /** To be told of each transaction that is endorsed. */
  noteMetadataWrites(sets: readonly NamespaceSet[]): void {
    for (const write of effectsOf(sets).writes) {
      if (write.kind === 'metadata') {
        this.#renewed.add(idOf(write));
      }
    }
  }

  /** Undefined where no endorsement will do. */
  #policyOf(at: StateKey): PolicyRule | undefined {
    const { namespace, collection, key } = at;
    if (this.#renewed.has(idOf(at))) {
      return undefined;
    }
    const own = decodeMetadata(this.#state.metadata(hashSpace(namespace, collection), key)).get('VALIDATION_PARAMETER');
    if (own !== undefined && own.length > 0) {
      try {
        return decodePolicy(own);
      } catch {
        return undefined; // A policy that cannot be read cannot be satisfied.
      }
    }
    if (collection === '') {
      return this.#chaincode.policy;
    }
    const found = this.#collections.find(namespace, collection);
    return found && (found.endorsementPolicy ?? this.#chaincode.policy);
  }
}

function idOf({ namespace, collection, key }: StateKey): string {
  return `${hashSpace(namespace, collection)}\u0000${key}`;
}
