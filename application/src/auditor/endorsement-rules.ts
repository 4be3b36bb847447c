// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import { applicationGroupOf, type ChannelConfig } from './channel-config.js';
import type { Policies, PolicyRule } from './policies.js';
import type { ReplayedState } from './versions.js';

/** Who must endorse what, by the configuration and the chaincode definitions in force before a block. */
export interface EndorsementRules {
  /** @returns undefined where the channel has no such chaincode. */
  ofChaincode(name: string): PolicyRule | undefined;
  /** @returns undefined where the chaincode has no such collection. */
  ofCollection(chaincode: string, collection: string): PolicyRule | undefined;
}

/** The namespace in which Fabric keeps chaincode definitions and the organisations' approvals. */
const LIFECYCLE = '_lifecycle';
const LIFECYCLE_POLICY = '/Channel/Application/LifecycleEndorsement';
const DEFAULT_POLICY = '/Channel/Application/Endorsement';
/** Each organisation has such a collection in every chaincode; chaincode approvals lie in those of `_lifecycle`. */
const IMPLICIT_COLLECTION = '_implicit_org_';
/** The network in one process has no chaincode life cycle: every chaincode has the channel's default policy. */
const WITHOUT_LIFECYCLE = 'embedded';

/**
 * The rules as a peer finds them (Fabric, core/chaincode/lifecycle `ValidationInfo`, `CollectionValidationInfo`).
 *
 * @param state as it stood before the block at hand: a definition holds from the next block on.
 */
export function newEndorsementRules(
  config: ChannelConfig,
  policies: Policies,
  state: Pick<ReplayedState, 'get'>,
): EndorsementRules {
  const ofChaincode = (name: string): PolicyRule | undefined => {
    if (name === LIFECYCLE) {
      return policies.find(LIFECYCLE_POLICY);
    }
    const definition = field(state, name, 'ValidationInfo');
    if (definition === undefined) {
      return config.consensus === WITHOUT_LIFECYCLE ? policies.find(DEFAULT_POLICY) : undefined;
    }
    const info = peer.lifecycle.ChaincodeValidationInfo.deserializeBinary(definition);
    return policies.application(info.getValidationParameter_asU8(), `the endorsement policy of ${name}`);
  };
  return {
    ofChaincode,
    ofCollection: (chaincode, collection) => {
      if (collection.startsWith(IMPLICIT_COLLECTION)) {
        const group = applicationGroupOf(config.root, collection.slice(IMPLICIT_COLLECTION.length));
        return group === undefined ? undefined : policies.find(`/Channel/Application/${group}/Endorsement`);
      }
      const settings = collectionOf(state, chaincode, collection);
      const own = settings?.getEndorsementPolicy();
      return own === undefined
        ? settings && ofChaincode(chaincode)
        : policies.application(own.serializeBinary(), `the endorsement policy of collection ${collection}`);
    },
  };
}

function collectionOf(
  state: Pick<ReplayedState, 'get'>,
  chaincode: string,
  collection: string,
): peer.StaticCollectionConfig | undefined {
  const encoded = field(state, chaincode, 'Collections');
  const list = encoded === undefined ? [] : peer.CollectionConfigPackage.deserializeBinary(encoded).getConfigList();
  return list.map((one) => one.getStaticCollectionConfig()).find((one) => one?.getName() === collection);
}

/** One field of a committed chaincode definition (Fabric, core/chaincode/lifecycle/serializer.go). */
function field(state: Pick<ReplayedState, 'get'>, chaincode: string, name: string): Uint8Array | undefined {
  const entry = state.get(LIFECYCLE, `namespaces/fields/${chaincode}/${name}`);
  return entry && peer.lifecycle.StateData.deserializeBinary(entry.value).getBytes_asU8();
}
