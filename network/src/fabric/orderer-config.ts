// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../durable.js';
import { tlsFiles, type Member } from './layout.js';

/** A dead leader holds its followers up for so long (Raft); the usual 7 s are of no use on a fast network. */
const CLUSTER_RPC_TIMEOUT = '2s';

function ordererDocument(member: Member): unknown {
  const { organisation, ports, layout } = member;
  const tls = tlsFiles(layout.orderer.tls);
  const { data } = layout.orderer;
  return {
    General: {
      ListenAddress: organisation.listen,
      ListenPort: ports.orderer,
      TLS: {
        Enabled: true,
        PrivateKey: tls.key,
        Certificate: tls.certificate,
        RootCAs: [tls.ca],
        ClientAuthRequired: false,
      },
      Keepalive: { ServerMinInterval: '10s', ServerInterval: '7200s', ServerTimeout: '20s' },
      Backoff: { BaseDelay: '200ms', Multiplier: 1.6, MaxDelay: '5s' },
      Cluster: { SendBufferSize: 100, DialTimeout: '3s', RPCTimeout: CLUSTER_RPC_TIMEOUT },
      LocalMSPDir: layout.orderer.msp,
      LocalMSPID: organisation.mspId,
      BCCSP: { Default: 'SW', SW: { Hash: 'SHA2', Security: 256 } },
      Authentication: { TimeWindow: '15m' },
    },
    FileLedger: { Location: data },
    Consensus: { WALDir: join(data, 'wal'), SnapDir: join(data, 'snapshots') },
    ChannelParticipation: { Enabled: true, MaxRequestBodySize: '1 MB' },
    Admin: {
      ListenAddress: `127.0.0.1:${(ports.ordererAdmin ?? 0).toString()}`,
      TLS: {
        Enabled: true,
        PrivateKey: tls.key,
        Certificate: tls.certificate,
        RootCAs: [tls.ca],
        ClientAuthRequired: true,
        ClientRootCAs: [tls.ca],
      },
    },
    Operations: { ListenAddress: `127.0.0.1:${(ports.ordererOperations ?? 0).toString()}`, TLS: { Enabled: false } },
    Metrics: { Provider: 'prometheus' },
  };
}

/** Writes an orderer's configuration, `orderer.yaml` in its folder. */
export async function writeOrdererConfiguration(member: Member): Promise<void> {
  await writeFileAtomic(join(member.layout.orderer.root, 'orderer.yaml'), stringify(ordererDocument(member)));
}
