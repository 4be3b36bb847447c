// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { CertificateAuthority } from '../embedded/ca/authority.js';
import { issueIdentity } from '../embedded/testing/consortium.js';
import type { KeyPairPem } from '../embedded/types.js';
import { installedChaincodes } from '../fabric/chaincode-deployment.js';
import { organisationGroups, setValue, valueAt } from '../fabric/config-document.js';
import { updateChannel } from '../fabric/config-update.js';
import { rootFile } from '../fabric/enrolment.js';
import { endorserArguments, openFabricHome, profileOf, type FabricHome } from '../fabric/home.js';
import { mspFiles, type Member } from '../fabric/layout.js';
import { approveDefinition, commitDefinition, committedDefinition } from '../fabric/lifecycle.js';
import { processFiles, settleAll } from '../fabric/node-process.js';
import { runProgram } from '../fabric/run-program.js';
import { networkClean } from '../supervisor/down.js';
import type { ConnectionProfile } from '../supervisor/profile.js';
import { networkUp } from '../supervisor/up.js';
import { isPortFree } from '../topology/ports.js';
import { connectGateway } from './client.js';
import { keepDown } from './fabric-outage.js';
import { RevocationLists } from './revocation-lists.js';
import { at, PARITY_CHAINCODE, PARITY_CHANNEL, type ParityNetwork } from './scenario.js';

const TOPOLOGY = fileURLToPath(new URL('../../fixtures/parity/consortium.yaml', import.meta.url));
const COLLECTIONS = fileURLToPath(new URL('../../fixtures/paritycc/collections.json', import.meta.url));
/** `chaincode.executetimeout` of the peers. */
const EXECUTE_TIMEOUT_MS = 30_000;

/**
 * Brings up real Fabric with the parity suite's chaincode.
 * @param home where it keeps its files and stays up; by default a folder that is deleted when the network is closed.
 */
export async function startFabricParityNetwork(home?: string): Promise<ParityNetwork> {
  const folder = home ?? (await mkdtemp(join(tmpdir(), 'parity-fabric-')));
  const options = { home: folder, topologyPath: TOPOLOGY, network: 'fabric' } as const;
  const remove = async (): Promise<void> => {
    await networkClean(options);
    await rm(folder, { recursive: true, force: true });
  };
  const close = home === undefined ? remove : () => Promise.resolve();
  try {
    await networkUp(options);
    return await FabricParityNetwork.open(await openFabricHome(options), close);
  } catch (error) {
    await close();
    throw error;
  }
}

class FabricParityNetwork implements ParityNetwork {
  readonly kind = 'fabric';
  readonly description: Readonly<Record<string, string>>;
  readonly executeTimeoutMs = EXECUTE_TIMEOUT_MS;
  readonly #home: FabricHome;
  readonly #profile: ConnectionProfile;
  readonly #authorities: readonly KeyPairPem[];
  readonly #clients: readonly KeyPairPem[];
  readonly #revocations = new RevocationLists();
  readonly close: () => Promise<void>;

  private constructor(
    home: FabricHome,
    profile: ConnectionProfile,
    authorities: readonly KeyPairPem[],
    clients: readonly KeyPairPem[],
    version: string,
    close: () => Promise<void>,
  ) {
    this.#home = home;
    this.#profile = profile;
    this.#authorities = authorities;
    this.#clients = clients;
    this.close = close;
    this.description = { fabric: version, consensus: home.topology.ordering.consensus };
  }

  static async open(home: FabricHome, close: () => Promise<void>): Promise<FabricParityNetwork> {
    const profile = await profileOf(home);
    await addCollections(home, profile);
    const authorities = await Promise.all(home.members.map(authorityOf));
    const clients = await Promise.all(authorities.map((authority) => issueIdentity(authority, 'client')));
    const [, version = 'unknown'] = /Version: v?(\S+)/.exec(await runProgram(home.programs.peer, ['version'])) ?? [];
    return new FabricParityNetwork(home, profile, authorities, clients, version, close);
  }

  connect(...[position, options]: Parameters<ParityNetwork['connect']>): ReturnType<ParityNetwork['connect']> {
    const { mspId, gateway } = at(this.#profile.organisations, position);
    return connectGateway({ mspId, ...gateway }, this.member(position), options);
  }

  member(position: number): KeyPairPem {
    return at(this.#clients, position);
  }

  async peerIdentity(position: number): Promise<KeyPairPem> {
    const files = mspFiles(at(this.#home.members, position).layout.peer.msp);
    const [certificatePem, privateKeyPem] = [
      await readFile(files.certificate, 'utf8'),
      await readFile(files.key, 'utf8'),
    ];
    return { certificatePem, privateKeyPem };
  }

  issue(position: number, validityMs?: number): Promise<KeyPairPem> {
    return issueIdentity(at(this.#authorities, position), 'client', validityMs);
  }

  async revoke(position: number, identity: KeyPairPem): Promise<void> {
    const { programs, admins, orderers } = this.#home;
    const { mspId } = at(this.#profile.organisations, position);
    const authority = await CertificateAuthority.open(at(this.#authorities, position));
    const list = await authority.issueRevocationList(this.#revocations.add(position, identity));
    const revocationList = [Buffer.from(list).toString('base64')];
    const context = { programs, channel: PARITY_CHANNEL, admin: at(admins, position), orderers, observers: admins };
    const hasConfig = z.looseObject({ config: z.looseObject({}) });
    await updateChannel(context, (config) => {
      for (const group of organisationGroups(config, mspId)) {
        const value = valueAt(group, 'MSP', hasConfig);
        setValue(group, 'MSP', { ...value, config: { ...value.config, revocation_list: revocationList } });
      }
      return config;
    });
  }

  stopPeer(position: number): Promise<() => Promise<void>> {
    const member = at(this.#home.members, position);
    return keepNodeDown(member, 'peer', member.ports.gateway);
  }

  async stopOrderers(count: number): Promise<() => Promise<void>> {
    const members = this.#home.members.slice(0, count);
    const restarts = await Promise.all(
      members.map((member) => keepNodeDown(member, 'orderer', member.ports.orderer ?? 0)),
    );
    return async () => {
      await Promise.all(restarts.map((restart) => restart()));
    };
  }
}

function keepNodeDown(member: Member, kind: string, port: number): Promise<() => Promise<void>> {
  const { pidFile } = processFiles(member.layout, `${kind}.${member.organisation.name}`);
  return keepDown(pidFile, () => isPortFree(port));
}

/** Approves and commits the chaincode's definition anew, with its collections. */
async function addCollections({ admins, paths }: FabricHome, profile: ConnectionProfile): Promise<void> {
  const first = at(admins, 0);
  const chaincode = { channel: PARITY_CHANNEL, name: PARITY_CHAINCODE };
  const committed = await committedDefinition(first, chaincode);
  if (committed === undefined || committed.sequence > 1) {
    return;
  }
  const definition = { ...chaincode, version: committed.version, sequence: 2, collections: COLLECTIONS };
  await settleAll(
    admins.map(async (admin) => {
      const { packageId } = at(await installedChaincodes(admin.member), 0);
      await approveDefinition(admin, definition, packageId);
    }),
  );
  await commitDefinition(first, definition, await endorserArguments(paths, profile));
}

/** Root certificate and key of an organisation's CA: whoever runs a CA can issue what its server would not. */
async function authorityOf({ layout }: Member): Promise<KeyPairPem> {
  const certificatePem = await readFile(rootFile(layout.ca), 'utf8');
  const certificate = new X509Certificate(certificatePem);
  const keystore = join(layout.ca, 'msp', 'keystore');
  for (const name of await readdir(keystore)) {
    const privateKeyPem = await readFile(join(keystore, name), 'utf8');
    if (name.endsWith('_sk') && certificate.checkPrivateKey(createPrivateKey(privateKeyPem))) {
      return { certificatePem, privateKeyPem };
    }
  }
  throw new Error(`${keystore} lacks the key of the CA's certificate`);
}
