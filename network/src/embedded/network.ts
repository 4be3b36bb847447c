// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { closeAll } from '../closing.js';
import { ChannelAccess } from './access.js';
import { Availability } from './availability.js';
import { defineChaincode } from './chaincode/collections.js';
import { ChaincodeProcess } from './chaincode/process.js';
import { Endorser } from './endorser.js';
import { EndorsementService, type Channel } from './gateway/endorsement.js';
import { OrdererQuorum } from './gateway/quorum.js';
import { GatewayServer } from './gateway/server.js';
import { ABSOLUTE_MAX_BYTES, SubmissionService } from './gateway/submission.js';
import { LedgerError } from './ledger/errors.js';
import { Ledger } from './ledger/ledger.js';
import { readTransactions } from './ledger/transactions.js';
import { Orderer } from './ordering/orderer.js';
import { BlockValidator } from './ordering/validator.js';
import { blockHeaderHash, required } from './protocol/block.js';
import { genesisBlock, readConfiguration } from './protocol/genesis.js';
import type { EmbeddedNetwork, EmbeddedNetworkConfig, EmbeddedOrganisation } from './types.js';

const DEFAULT_EXECUTE_TIMEOUT_MS = 30_000;
const SHUTDOWN_GRACE_MS = 3_000;

/**
 * Starts the embedded network in this process: ledger, orderer, and for each organisation its chaincode process and its
 * gateway on loopback. Ready when it resolves.
 * Another chaincode on the same data folder has a state of its own; what was there before stays.
 * @throws LedgerError DATA_LOSS or STATE_FOREIGN, NetworkError TOPOLOGY_INVALID for collections that will not do, Error where a port is taken or a chaincode does not start.
 */
export async function startEmbeddedNetwork(config: EmbeddedNetworkConfig): Promise<EmbeddedNetwork> {
  const { organisations, msp, ordering } = config;
  const [first] = organisations;
  if (first === undefined) {
    throw new Error('a network needs at least one organisation');
  }
  const log = config.log ?? (() => undefined);
  const chaincode = { ...config.chaincode, path: resolve(config.chaincode.path) };
  const executeTimeoutMs = config.executeTimeoutMs ?? DEFAULT_EXECUTE_TIMEOUT_MS;
  await mkdir(config.dataDir, { recursive: true, mode: 0o700 });

  // What has been started, to be stopped in reverse order.
  const started: (() => Promise<void>)[] = [];
  const stop = (): Promise<void> => closeAll(started.splice(0).reverse());
  try {
    const mspIds = organisations.map(({ mspId }) => mspId);
    const { definition, collections, remember } = await defineChaincode(chaincode, config.dataDir, mspIds);
    const ledger = await Ledger.open(config.dataDir, log, collections);
    started.push(() => ledger.close());
    const genesisHash = await openChannel(ledger, config);
    await remember();

    const processes = organisations.map(
      (organisation) => new ChaincodeProcess(organisation, chaincode, config.dataDir, log),
    );
    started.push(async () => {
      const outcomes = await Promise.allSettled(processes.map((process) => process.stop()));
      const failed = outcomes.find(({ status }) => status === 'rejected');
      if (failed?.status === 'rejected') {
        throw failed.reason;
      }
    });
    await Promise.all(processes.map((process) => process.start()));

    const validator = new BlockValidator(config.channel, definition, collections, msp, ledger);
    const orderer = new Orderer(ledger, validator, first.orderer, ordering, log);
    started.push(() => orderer.close());

    const gatewayPorts = new Map<string, number>();
    const access = new ChannelAccess(config.channel, msp, ledger);
    const shared = { ledger, access, chaincode: definition, collections, executeTimeoutMs };
    const endorsers = organisations.map((organisation, index) => {
      const address = (): string => `localhost:${gatewayPorts.get(organisation.mspId) ?? organisation.gatewayPort}`;
      return new Endorser(address, organisation, required(processes[index], 'chaincode process'), shared);
    });
    const availability = new Availability();
    const channel: Channel = {
      name: config.channel,
      ...shared,
      get endorsers() {
        return endorsers.filter(({ mspId }) => availability.isPeerUp(mspId));
      },
    };
    const quorum = new OrdererQuorum(endorsers, availability);
    const gateways = new Map<string, GatewayServer>();
    const openGateway = async ({ mspId, gatewayPort, gatewayTls }: EmbeddedOrganisation): Promise<void> => {
      const server = new GatewayServer(
        channel,
        mspId,
        new EndorsementService(channel, mspId),
        new SubmissionService(channel, orderer, quorum),
      );
      gatewayPorts.set(mspId, await server.listen(gatewayPorts.get(mspId) ?? gatewayPort, gatewayTls));
      gateways.set(mspId, server);
    };
    const closeGateway = async (mspId: string): Promise<void> => {
      await gateways.get(mspId)?.close(SHUTDOWN_GRACE_MS);
      gateways.delete(mspId);
    };
    for (const organisation of organisations) {
      started.push(() => closeGateway(organisation.mspId));
      await openGateway(organisation);
    }

    void ledger.failed.then((error) => config.onFailure?.(error));
    let closing: Promise<void> | undefined;
    return {
      channel: config.channel,
      genesisHash,
      gatewayPorts,
      height: () => ledger.height,
      chaincodeStatus: () => processes.map((process) => process.status()),
      stopPeer: async (mspId) => {
        availability.setPeer(mspId, false);
        await closeGateway(mspId);
      },
      startPeer: async (mspId) => {
        await openGateway(
          required(
            organisations.find((one) => one.mspId === mspId),
            'organisation',
          ),
        );
        availability.setPeer(mspId, true);
      },
      setOrderer: (mspId, isUp) => {
        availability.setOrderer(mspId, isUp);
      },
      close: () => (closing ??= stop()),
    };
  } catch (error) {
    await stop().catch((reason: unknown) => {
      log('error', 'a part of the network did not stop', { error: String(reason) });
    });
    throw error;
  }
}

/** Writes block 0 where the ledger is empty, otherwise checks that it is this network's. @returns its header hash. */
async function openChannel(ledger: Ledger, config: EmbeddedNetworkConfig): Promise<string> {
  if (ledger.height === 0) {
    const block = genesisBlock(config.channel, config.organisations, config.ordering, ABSOLUTE_MAX_BYTES);
    await ledger.commit(block, readTransactions(block));
    return ledger.lastHeaderHash.toString('hex');
  }
  const block = await ledger.block(0);
  const { channel, members } = readConfiguration(block);
  const isSame =
    channel === config.channel &&
    members.size === config.organisations.length &&
    config.organisations.every(({ mspId, identityCaCert }) => members.get(mspId) === identityCaCert);
  if (!isSame) {
    throw new LedgerError(
      'STATE_FOREIGN',
      'the data folder holds the ledger of another channel, or of other organisations or certificate authorities; ' +
        'choose another home, or delete it with clean',
    );
  }
  return blockHeaderHash(required(block.getHeader(), 'block header')).toString('hex');
}
