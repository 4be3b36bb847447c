// SPDX-License-Identifier: Apache-2.0
import { connect } from 'node:net';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { readReport, reportFile, type InstalledChaincode } from './chaincode-deployment.js';
import type { Member } from './layout.js';
import { processFiles, type NodeSpecification } from './node-process.js';
import { CHAINCODE_CONNECTIONS, peerAddress } from './peer-config.js';
import type { FabricPrograms } from './programs.js';

const READY_DEADLINE_MS = 30_000;
const PROBE_TIMEOUT_MS = 2_000;
const CHAINCODE_HOST = fileURLToPath(new URL('./chaincode-host.js', import.meta.url));
const LOGGING = { FABRIC_LOGGING_SPEC: process.env['SEV_FABRIC_LOGGING'] ?? 'warning' };

/** Whether an operations endpoint says that its process is well. */
async function isHealthy(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port.toString()}/healthz`, {
    signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
  });
  await response.arrayBuffer();
  return response.ok;
}

async function takesConnections(port: number, host = '127.0.0.1'): Promise<boolean> {
  const socket = connect(port, host);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return true;
  } finally {
    socket.destroy();
  }
}

/** An address at which what an organisation's nodes listen on answers from this machine. */
const listensOn = ({ listen }: Member['organisation']): string => (listen === '0.0.0.0' ? '127.0.0.1' : listen);

type Common = Pick<
  NodeSpecification,
  'name' | 'kind' | 'organisation' | 'logFile' | 'pidFile' | 'readyDeadlineMs' | 'args' | 'env'
>;

function common(member: Member, kind: NodeSpecification['kind'], suffix = ''): Common {
  const organisation = member.organisation.name;
  const name = `${kind}.${organisation}${suffix}`;
  return {
    name,
    kind,
    organisation,
    ...processFiles(member.layout, name),
    readyDeadlineMs: READY_DEADLINE_MS,
    args: [],
    env: {},
  };
}

/** An organisation's CA server. */
export function caNode(programs: FabricPrograms, member: Member): NodeSpecification {
  const { layout, ports, organisation } = member;
  return {
    ...common(member, 'ca'),
    command: programs['fabric-ca-server'],
    args: ['start', '--home', layout.ca],
    cwd: layout.ca,
    address: `https://${organisation.host}:${ports.ca.toString()}`,
    // Operations answer before the service does.
    isReady: async () =>
      (await isHealthy(ports.caOperations ?? 0)) && (await takesConnections(ports.ca, listensOn(organisation))),
  };
}

/** An organisation's orderer. */
export function ordererNode(programs: FabricPrograms, member: Member): NodeSpecification {
  const { layout, ports, organisation } = member;
  return {
    ...common(member, 'orderer'),
    command: programs.orderer,
    env: { FABRIC_CFG_PATH: layout.orderer.root, ...LOGGING },
    cwd: layout.orderer.root,
    address: `${organisation.host}:${(ports.orderer ?? 0).toString()}`,
    // Operations answer before the administration does, by which it joins the channel.
    isReady: async () =>
      (await isHealthy(ports.ordererOperations ?? 0)) && (await takesConnections(ports.ordererAdmin ?? 0)),
  };
}

/** An organisation's peer. */
export function peerNode(programs: FabricPrograms, member: Member): NodeSpecification {
  const { layout, ports } = member;
  return {
    ...common(member, 'peer'),
    command: programs.peer,
    args: ['node', 'start'],
    env: { FABRIC_CFG_PATH: layout.peer.root, [CHAINCODE_CONNECTIONS]: layout.chaincode, ...LOGGING },
    cwd: layout.peer.root,
    address: peerAddress(member),
    isReady: () => isHealthy(ports.peerOperations ?? 0),
  };
}

/** An organisation's process of a chaincode package. */
export function chaincodeNode(member: Member, installed: InstalledChaincode): NodeSpecification {
  const { path, label, packageId, port, folder } = installed;
  const shim = createRequire(join(path, 'package.json')).resolve('fabric-shim/cli.js');
  const options = [
    ['--chaincode-address', `127.0.0.1:${port.toString()}`],
    ['--chaincode-id', packageId],
    ['--chaincode-tls-key-file', join(folder, 'server.key')],
    ['--chaincode-tls-cert-file', join(folder, 'server.crt')],
    ['--chaincode-tls-client-cacert-file', join(folder, 'ca.crt')],
    ['--module-path', path],
  ].flat();
  return {
    ...common(member, 'chaincode', `.${label}`),
    command: process.execPath,
    args: [CHAINCODE_HOST, shim, 'server', ...options],
    env: {
      CORE_PEER_LOCALMSPID: member.organisation.mspId,
      CORE_CHAINCODE_LOGGING_LEVEL: 'ERROR',
      SEV_CHAINCODE_PATH: path,
      SEV_CHAINCODE_REPORT: reportFile(folder),
    },
    cwd: path,
    address: `127.0.0.1:${port.toString()}`,
    isReady: async (pid) => (await readReport(installed))?.pid === pid && (await takesConnections(port)),
  };
}
