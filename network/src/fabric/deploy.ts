// SPDX-License-Identifier: Apache-2.0
import { controlNetwork } from '../supervisor/control.js';
import { asOnlyCommand, type NetworkOptions } from '../supervisor/options.js';
import { installedChaincodes, prepareChaincode, removeChaincode } from './chaincode-deployment.js';
import { packageChaincode, type ChaincodePackage } from './chaincode-package.js';
import { awaitGateway } from './gateway-probe.js';
import { endorserArguments, openFabricHome, profileOf, type FabricHome } from './home.js';
import {
  approvalsOf,
  approveDefinition,
  approvedPackage,
  commitDefinition,
  committedDefinition,
  installPackage,
  type ChaincodeDefinition,
} from './lifecycle.js';
import { settleAll } from './node-process.js';

/** A chaincode to be deployed. */
export interface Deployment {
  readonly name: string;
  readonly version: string;
  /** Folder of the package, compiled. */
  readonly path: string;
  /** Signature policy instead of the majority of organisations. */
  readonly signaturePolicy?: string | undefined;
  /** File of private data collections. */
  readonly collections?: string | undefined;
}

/** What came of a deployment. */
export interface DeploymentResult {
  readonly name: string;
  readonly version: string;
  readonly sequence: number;
  readonly packageId: string;
  readonly codeSha256: string;
  /** Whether the channel has committed to it. */
  readonly committed: boolean;
  /** MSP ids of organisations that have not approved it. */
  readonly missing: readonly string[];
}

type Progress = (message: string) => void;

/** The definition to approve: the committed one where it is this very package's, else the next. */
async function nextDefinition(
  home: FabricHome,
  deployment: Deployment,
  built: ChaincodePackage,
): Promise<{ definition: ChaincodeDefinition; isCommitted: boolean }> {
  const { name, version, signaturePolicy, collections } = deployment;
  const chaincode = { channel: home.topology.channel, name };
  const [admin] = home.admins;
  const committed = admin === undefined ? undefined : await committedDefinition(admin, chaincode);
  const sequence = committed?.sequence ?? 0;
  const definition = (of: number): ChaincodeDefinition => ({
    ...chaincode,
    version,
    sequence: of,
    signaturePolicy,
    collections,
  });
  if (admin !== undefined && committed?.version === version) {
    const approved = await approvedPackage(admin, { ...chaincode, sequence });
    if (approved === built.packageId) {
      return { definition: definition(sequence), isCommitted: true };
    }
  }
  return { definition: definition(sequence + 1), isCommitted: false };
}

/** Starts the home's processes of a package and has its organisations install and approve it. */
async function approveHere(
  home: FabricHome,
  deployment: Deployment,
  built: ChaincodePackage,
  definition: ChaincodeDefinition,
  progress: Progress,
): Promise<void> {
  const { members, admins, paths } = home;
  progress(`starting ${built.label}`);
  await settleAll(members.map((member) => prepareChaincode(member, deployment, built)));
  await controlNetwork(paths, { action: 'chaincodes' });
  progress(`installing ${built.packageId}`);
  await settleAll(admins.map((admin) => installPackage(admin, built)));
  progress(`approving version ${definition.version}, sequence ${definition.sequence.toString()}`);
  await settleAll(admins.map((admin) => approveDefinition(admin, definition, built.packageId)));
}

/** Ends the processes of packages that a committed one has replaced. */
async function retireOthers(home: FabricHome, name: string, label: string): Promise<void> {
  for (const member of home.members) {
    const installed = await installedChaincodes(member);
    await settleAll(installed.filter((other) => other.name === name && other.label !== label).map(removeChaincode));
  }
  await controlNetwork(home.paths, { action: 'chaincodes' });
}

/**
 * Deploys a chaincode on a running native network, or the next version of one: the organisations of this home start its
 * processes, install and approve it, and commit it as soon as a majority of all has approved. The ledger's state stays.
 * Harmless when it is done; an organisation elsewhere runs the same with the same code.
 * @throws NetworkError CHAINCODE_INVALID, NETWORK_NOT_RUNNING, PROGRAM_FAILED
 */
export async function deployChaincode(deployment: Deployment, options: NetworkOptions = {}): Promise<DeploymentResult> {
  const progress = options.onProgress ?? (() => undefined);
  const home = await openFabricHome(options);
  return asOnlyCommand(options, async (paths) => {
    const [admin] = home.admins;
    const built = await packageChaincode(deployment.path, deployment.name, deployment.version);
    const { definition, isCommitted } = await nextDefinition(home, deployment, built);
    const { name, version, sequence } = definition;
    const { packageId, codeSha256, label } = built;
    const result = { name, version, sequence, packageId, codeSha256 };
    await approveHere(home, deployment, built, definition, progress);
    if (admin === undefined) {
      return { ...result, committed: false, missing: [] };
    }
    if (!isCommitted) {
      const approvals = Object.entries(await approvalsOf(admin, definition));
      const missing = approvals.filter(([, isGiven]) => !isGiven).map(([mspId]) => mspId);
      if (missing.length * 2 >= approvals.length) {
        return { ...result, committed: false, missing };
      }
      progress('committing');
      await commitDefinition(admin, definition, await endorserArguments(paths, await profileOf(home)));
    }
    progress('waiting until every gateway reaches a majority');
    await settleAll(home.members.map((member) => awaitGateway(member, definition.channel, name)));
    await retireOthers(home, name, label);
    return { ...result, committed: true, missing: [] };
  });
}

/** Deploys the topology's chaincode as it lies in its folder now. */
export async function upgradeChaincode(options: NetworkOptions = {}): Promise<DeploymentResult> {
  const { topology } = await openFabricHome(options);
  return deployChaincode(topology.chaincode, options);
}
