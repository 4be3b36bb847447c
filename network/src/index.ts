// SPDX-License-Identifier: Apache-2.0
export { NETWORK_ERROR_CODES, NetworkError, TopologyError, type NetworkErrorCode } from './errors.js';
export { deployChaincode, upgradeChaincode, type Deployment, type DeploymentResult } from './fabric/deploy.js';
export { findPrograms, type FabricPrograms } from './fabric/programs.js';
export { startEmbeddedNetwork } from './embedded/network.js';
export type * from './embedded/types.js';
export { controlNetwork, type ControlRequest } from './supervisor/control.js';
export { networkClean, networkDown } from './supervisor/down.js';
export { chooseNetwork, type NetworkChoice } from './supervisor/kind.js';
export { networkLogs, type LogTail } from './supervisor/logs.js';
export type { NetworkOptions } from './supervisor/options.js';
export { networkPaths, registrarPath, type NetworkPaths } from './supervisor/paths.js';
export { loadConnectionProfile, type ConnectionProfile } from './supervisor/profile.js';
export { networkStatus, type NetworkStatus, type OrganisationStatus } from './supervisor/status.js';
export { networkUp } from './supervisor/up.js';
export { loadTopology } from './topology/load.js';
export type { OrganisationTopology, Topology } from './topology/schema.js';
