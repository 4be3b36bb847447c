// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../durable.js';
import { tlsFiles, type Member } from './layout.js';

/** External builder that connects a peer to chaincode processes. */
const BUILDER = fileURLToPath(new URL('../../../test-network-config/ccaas-builder', import.meta.url));
/** Environment variable by which the builder finds the connections of a peer's chaincodes. */
export const CHAINCODE_CONNECTIONS = 'SEV_CHAINCODE_CONNECTIONS';
const MAX_MESSAGE_BYTES = 104_857_600;

/** Address by which others reach an organisation's peer. */
export const peerAddress = ({ organisation, ports }: Member): string =>
  `${organisation.host}:${ports.gateway.toString()}`;

function peerDocument(member: Member): unknown {
  const { organisation, ports, layout } = member;
  const address = peerAddress(member);
  const tls = tlsFiles(layout.peer.tls);
  return {
    peer: {
      id: `peer.${organisation.name}`,
      networkId: 'sev',
      listenAddress: `${organisation.listen}:${ports.gateway.toString()}`,
      address,
      addressAutoDetect: false,
      chaincodeListenAddress: '127.0.0.1:0',
      localMspId: organisation.mspId,
      localMspType: 'bccsp',
      mspConfigPath: layout.peer.msp,
      fileSystemPath: layout.peer.data,
      BCCSP: { Default: 'SW', SW: { Hash: 'SHA2', Security: 256 } },
      tls: {
        enabled: true,
        clientAuthRequired: false,
        cert: { file: tls.certificate },
        key: { file: tls.key },
        rootcert: { file: tls.ca },
      },
      // Contracts leave the same margin at their deadlines.
      authentication: { timewindow: '60s' },
      keepalive: {
        interval: '7200s',
        timeout: '20s',
        minInterval: '10s',
        client: { interval: '60s', timeout: '20s' },
        deliveryClient: { interval: '60s', timeout: '20s' },
      },
      gateway: { enabled: true, endorsementTimeout: '30s', broadcastTimeout: '30s', dialTimeout: '5s' },
      gossip: {
        bootstrap: address,
        endpoint: address,
        externalEndpoint: address,
        useLeaderElection: false,
        orgLeader: true,
        // A peer refuses organisations it does not know yet; with the usual 25 s it would look again only then.
        reconnectInterval: '1s',
        aliveTimeInterval: '2s',
        aliveExpirationTimeout: '8s',
        publishCertPeriod: '1s',
        publishStateInfoInterval: '4s',
        requestStateInfoInterval: '4s',
        state: { enabled: false },
        pvtData: {
          pullRetryThreshold: '10s',
          transientstoreMaxBlockRetention: 20_000,
          pushAckTimeout: '3s',
          reconcileSleepInterval: '10s',
          reconciliationEnabled: true,
          implicitCollectionDisseminationPolicy: { requiredPeerCount: 0, maxPeerCount: 1 },
        },
      },
      deliveryclient: {
        blockGossipEnabled: false,
        reconnectTotalTimeThreshold: '3600s',
        connTimeout: '2s',
        reConnectBackoffThreshold: '2s',
        minimalReconnectInterval: '100ms',
        blockCensorshipTimeoutKey: '30s',
        policy: 'cluster',
      },
      discovery: {
        enabled: true,
        authCacheEnabled: true,
        authCacheMaxSize: 1000,
        authCachePurgeRetentionRatio: 0.75,
        orgMembersAllowedAccess: false,
      },
      handlers: {
        authFilters: [{ name: 'DefaultAuth' }, { name: 'ExpirationCheck' }, { name: 'TimeWindowCheck' }],
        decorators: [{ name: 'DefaultDecorator' }],
        endorsers: { escc: { name: 'DefaultEndorsement' } },
        validators: { vscc: { name: 'DefaultValidation' } },
      },
      limits: { concurrency: { endorserService: 2_500, deliverService: 2_500, gatewayService: 500 } },
      maxRecvMsgSize: MAX_MESSAGE_BYTES,
      maxSendMsgSize: MAX_MESSAGE_BYTES,
    },
    vm: { endpoint: '' },
    chaincode: {
      mode: 'net',
      installTimeout: '60s',
      startuptimeout: '20s',
      executetimeout: '30s',
      keepalive: 0,
      externalBuilders: [{ name: 'sev-ccaas', path: BUILDER, propagateEnvironment: [CHAINCODE_CONNECTIONS] }],
      system: { _lifecycle: 'enable', cscc: 'enable', lscc: 'enable', qscc: 'enable' },
      logging: { level: 'warning', shim: 'warning' },
      runtimeParams: {
        useWriteBatch: true,
        maxSizeWriteBatch: 1000,
        useGetMultipleKeys: true,
        maxSizeGetMultipleKeys: 1000,
      },
    },
    ledger: {
      state: { stateDatabase: 'goleveldb', totalQueryLimit: 100_000 },
      history: { enableHistoryDatabase: true },
      pvtdataStore: {
        collElgProcMaxDbBatchSize: 5_000,
        collElgProcDbBatchesInterval: 1_000,
        deprioritizedDataReconcilerInterval: '60m',
        purgeInterval: 100,
        purgedKeyAuditLogging: false,
      },
      snapshots: { rootDir: join(layout.peer.data, 'snapshots') },
    },
    operations: { listenAddress: `127.0.0.1:${(ports.peerOperations ?? 0).toString()}`, tls: { enabled: false } },
    metrics: { provider: 'prometheus' },
  };
}

/** Writes a peer's configuration, `core.yaml` in its folder. */
export async function writePeerConfiguration(member: Member): Promise<void> {
  await writeFileAtomic(join(member.layout.peer.root, 'core.yaml'), stringify(peerDocument(member)));
}
