// SPDX-License-Identifier: Apache-2.0

/** What can go wrong with a network; the codes are stable. */
export const NETWORK_ERROR_CODES = {
  TOPOLOGY_INVALID: 'The topology file does not have the documented form.',
  PORT_IN_USE: 'Another program listens on a port of the network.',
  PORT_OFFSET_INVALID: 'SEV_PORT_OFFSET is neither a whole number nor "ephemeral".',
  NETWORK_KIND_INVALID: 'NETWORK is none of auto, fabric, embedded.',
  FABRIC_MISSING: "Fabric's programs are not on PATH.",
  FABRIC_VERSION: "One of Fabric's programs is of a version that will not do.",
  PROGRAM_FAILED: "One of Fabric's programs refused what it was asked.",
  CHAINCODE_INVALID: 'A folder is no chaincode package that can be run.',
  APPROVALS_MISSING: 'A chaincode definition waits for the approval of more organisations.',
  CHANNEL_MISSING: "The channel's genesis block is missing.",
  CONFIG_UNKNOWN: "The channel's configuration lacks what a change is about.",
  CONFIG_NOT_COMMITTED: "A change of the channel's configuration was sent, but its block did not come in time.",
  ORGANISATION_UNKNOWN: 'There is no organisation of that name, or it has no nodes in this home.',
  ORGANISATION_CONFLICT: 'An organisation is in the channel already, or shares with another what must be its own.',
  PART_INVALID: "An organisation's public part cannot be used.",
  BUNDLE_INVALID: 'A bundle that founds or opens a channel does not hold what it should.',
  UPDATE_INVALID: "A proposed change of the channel's configuration is not what it says it is, or is outdated.",
  FAULT_TOLERANCE: 'Without that orderer the ordering service would tolerate no fault.',
  ORDERERS_MISSING: "Not enough organisations' orderers answer.",
  BACKUP_INVALID: 'A file is no backup of an organisation, or is damaged.',
  SNAPSHOT_INVALID: "A folder is no snapshot of this channel's ledger.",
  ALREADY_EXISTS: 'Something lies already where a command would put its own.',
  NETWORK_RUNNING: 'The network has to be down for that.',
  NODE_UNKNOWN: 'The network has no process of that name.',
  NOT_SUPPORTED: 'This kind of network cannot do that.',
  NETWORK_NOT_RUNNING: 'The network is not running.',
  NETWORK_START_FAILED: 'The network did not start.',
  NETWORK_STOP_FAILED: 'The network did not stop.',
  NETWORK_BUSY: 'Another command is bringing this network up, down or away.',
  ALREADY_RUNNING: 'Another process runs on this state.',
  PROFILE_INVALID: 'The connection profile does not have the documented form.',
  DATA_LOSS: 'Files of the ledger are damaged or missing.',
  STATE_FOREIGN: 'The state directory belongs to something else, to a newer version or to another consortium.',
} as const;

export type NetworkErrorCode = keyof typeof NETWORK_ERROR_CODES;

/** A failure of the network's own programs; `message` says what to do next. */
export class NetworkError extends Error {
  readonly code: NetworkErrorCode;

  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NetworkError';
    this.code = code;
  }
}

/** A topology file that cannot be used; `line` (from 1) is where, when a line can be named. */
export class TopologyError extends NetworkError {
  readonly file: string;
  readonly line: number | undefined;

  constructor(file: string, line: number | undefined, detail: string, options?: ErrorOptions) {
    super('TOPOLOGY_INVALID', `${file}${line === undefined ? '' : `:${line.toString()}`}: ${detail}`, options);
    this.name = 'TopologyError';
    this.file = file;
    this.line = line;
  }
}

/** The `code` of a system error (`ENOENT`, `EADDRINUSE`, …), if it is one. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) {
    return undefined;
  }
  return typeof error.code === 'string' ? error.code : undefined;
}
