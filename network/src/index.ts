// SPDX-License-Identifier: Apache-2.0
export { NETWORK_ERROR_CODES, NetworkError, TopologyError, type NetworkErrorCode } from './errors.js';
export { startEmbeddedNetwork } from './embedded/network.js';
export type * from './embedded/types.js';
export { networkClean, networkDown } from './supervisor/down.js';
export { chooseNetwork, type NetworkChoice } from './supervisor/kind.js';
export type { NetworkOptions } from './supervisor/options.js';
export { networkPaths, registrarPath, type NetworkPaths } from './supervisor/paths.js';
export { loadConnectionProfile, type ConnectionProfile } from './supervisor/profile.js';
export { networkStatus, type NetworkStatus, type OrganisationStatus } from './supervisor/status.js';
export { networkUp } from './supervisor/up.js';
export { loadTopology } from './topology/load.js';
export type { OrganisationTopology, Topology } from './topology/schema.js';
