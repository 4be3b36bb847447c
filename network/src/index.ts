// SPDX-License-Identifier: Apache-2.0
export { networkDoctor, type DoctorReport } from './doctor/doctor.js';
export type { Finding as DoctorFinding } from './doctor/finding.js';
export { networkMetrics } from './doctor/metrics.js';
export { NETWORK_ERROR_CODES, NetworkError, TopologyError, type NetworkErrorCode } from './errors.js';
export { deployChaincode, upgradeChaincode, type Deployment, type DeploymentResult } from './fabric/deploy.js';
export { findPrograms, type FabricPrograms } from './fabric/programs.js';
export { networkUnits, type UnitChoice } from './fabric/systemd-units.js';
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
export { acceptBundle } from './fabric/accept.js';
export { composeChannel, type BundleSummary } from './fabric/compose.js';
export { refreshMembership, writeJoiningBundle } from './fabric/membership.js';
export {
  checkRemovable,
  proposeAddition,
  proposeRemoval,
  signProposal,
  submitProposal,
  type ProposedUpdate,
  type RemovalOptions,
} from './fabric/proposals.js';
export {
  exportPart,
  initOrganisation,
  type ApplicationEnrolment,
  type OrganisationSummary,
} from './fabric/organisation-home.js';
export { foundingParts, homeOrganisation } from './fabric/founders.js';
export { readUpdateFile, type UpdateFile } from './fabric/update-file.js';
export type { PublicPart } from './fabric/public-part.js';
export { readSignedPart, type SignedPart } from './fabric/signed-part.js';
export { backupOrganisation, type BackupOptions } from './fabric/backup.js';
export { restoreOrganisation, type RestoredOrganisation, type RestoreOptions } from './fabric/restore.js';
export { publishRevocationList, type RevocationListResult } from './fabric/revocation.js';
export { rotateNodes, type RotationOptions, type RotationResult } from './fabric/rotation.js';
export { rejoinPeer, takeSnapshot, type Snapshot } from './fabric/snapshot.js';
