// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../durable.js';
import type { NetworkPaths } from '../supervisor/paths.js';
import type { Topology } from '../topology/schema.js';
import type { Member } from './layout.js';
import type { NodeKind } from './node-process.js';

const JOB = 'sev-network';
const RULES_FILE = 'alerts.yml';
const OURS = `{job="${JOB}"}`;

/** Where a home keeps what Prometheus reads: the scrape configuration, and beside it the alert rules that it names. */
export const scrapeFile = (paths: Pick<NetworkPaths, 'state'>): string => join(paths.state, 'prometheus.yml');
export const rulesFile = (paths: Pick<NetworkPaths, 'state'>): string => join(paths.state, RULES_FILE);

/** Prometheus's configuration: the operations endpoints of a home's nodes, labelled by organisation, kind and node. */
export function scrapeDocument(topology: Pick<Topology, 'name'>, members: readonly Member[]): unknown {
  const endpoints = members.flatMap(({ organisation: { name }, ports }) => {
    const all: [NodeKind, number | undefined][] = [
      ['ca', ports.caOperations],
      ['orderer', ports.ordererOperations],
      ['peer', ports.peerOperations],
    ];
    return all.flatMap(([kind, port]) => (port === undefined ? [] : [{ organisation: name, kind, port }]));
  });
  return {
    global: { scrape_interval: '15s', evaluation_interval: '15s', external_labels: { network: topology.name } },
    rule_files: [RULES_FILE],
    scrape_configs: [
      {
        job_name: JOB,
        static_configs: endpoints.map(({ organisation, kind, port }) => ({
          targets: [`127.0.0.1:${port.toString()}`],
          labels: { organisation, kind, node: `${kind}.${organisation}` },
        })),
      },
    ],
  };
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: 'critical' | 'warning';
  readonly summary: string;
}

const NODES: readonly Rule[] = [
  {
    alert: 'SevNodeDown',
    expr: `up${OURS} == 0`,
    for: '1m',
    severity: 'critical',
    summary: '{{ $labels.node }} does not answer',
  },
  {
    alert: 'SevNodeRestarts',
    expr: `changes(process_start_time_seconds${OURS}[15m]) > 2`,
    for: '0m',
    severity: 'warning',
    summary: '{{ $labels.node }} was started again {{ $value }} times in 15 minutes',
  },
  {
    alert: 'SevFilesNearLimit',
    expr: `process_open_fds${OURS} / process_max_fds${OURS} > 0.8`,
    for: '5m',
    severity: 'warning',
    summary: '{{ $labels.node }} has almost as many files open as it may',
  },
  {
    alert: 'SevNodeBehind',
    expr: `max by (channel) (ledger_blockchain_height${OURS}) - on (channel) group_right () ledger_blockchain_height${OURS} > 5`,
    for: '1m',
    severity: 'critical',
    summary: '{{ $labels.node }} lacks {{ $value }} blocks of {{ $labels.channel }}',
  },
];

const CONSENSUS: Readonly<Record<'bft' | 'raft', readonly Rule[]>> = {
  bft: [
    {
      alert: 'SevLeaderChanges',
      expr: `changes(consensus_BFT_leader_id${OURS}[15m]) > 3`,
      for: '0m',
      severity: 'warning',
      summary: '{{ $labels.node }} saw {{ $value }} leaders in 15 minutes: view changes without a dead leader?',
    },
    {
      alert: 'SevOrderingStalls',
      expr: `consensus_smartbft_pool_count_of_elements${OURS} > 0 and changes(consensus_BFT_committed_block_number${OURS}[1m]) == 0`,
      for: '1m',
      severity: 'critical',
      summary: 'transactions wait at {{ $labels.node }} and no block is made',
    },
  ],
  raft: [
    {
      alert: 'SevLeaderChanges',
      expr: `increase(consensus_etcdraft_leader_changes${OURS}[15m]) > 3`,
      for: '0m',
      severity: 'warning',
      summary: '{{ $labels.node }} saw {{ $value }} leaders in 15 minutes',
    },
    {
      alert: 'SevOrderersMissing',
      expr: `consensus_etcdraft_active_nodes${OURS} < consensus_etcdraft_cluster_size${OURS} and consensus_etcdraft_is_leader${OURS} == 1`,
      for: '1m',
      severity: 'warning',
      summary: 'the leader, {{ $labels.node }}, hears from {{ $value }} orderers only, itself counted',
    },
  ],
};

const LEADER = { bft: 'consensus_BFT_is_leader', raft: 'consensus_etcdraft_is_leader' } as const;

/** Whether somebody leads can only be said where all orderers are watched. */
const noLeader = (consensus: 'bft' | 'raft'): Rule => ({
  alert: 'SevNoLeader',
  expr: `sum by (channel) (${LEADER[consensus]}${OURS}) < 1`,
  for: '30s',
  severity: 'critical',
  summary: 'the orderers of {{ $labels.channel }} have no leader',
});

/** By what `sev network metrics` writes for the text file collector of Prometheus's node exporter. */
const MACHINE: readonly Rule[] = [
  {
    alert: 'SevCertificateEnds',
    expr: 'sev_certificate_end_timestamp_seconds - time() < 30 * 86400',
    for: '1h',
    severity: 'warning',
    summary: '{{ $labels.what }}: the certificate ends in {{ $value | humanizeDuration }}',
  },
  {
    alert: 'SevCertificateEndsNow',
    expr: 'sev_certificate_end_timestamp_seconds - time() < 3 * 86400',
    for: '0m',
    severity: 'critical',
    summary: '{{ $labels.what }}: the certificate ends in {{ $value | humanizeDuration }}',
  },
  {
    alert: 'SevDiskLow',
    expr: 'sev_disk_free_bytes < 5 * 1024 * 1024 * 1024',
    for: '5m',
    severity: 'critical',
    summary: '{{ $value | humanize1024 }}B are left on the disk of the ledgers',
  },
  {
    alert: 'SevDoctorErrors',
    expr: 'sev_doctor_findings{level="error"} > 0',
    for: '5m',
    severity: 'critical',
    summary: 'sev network doctor: {{ $labels.code }}',
  },
  {
    alert: 'SevMetricsStale',
    expr: 'time() - sev_metrics_timestamp_seconds > 1800',
    for: '0m',
    severity: 'warning',
    summary: 'sev network metrics has written nothing for {{ $value | humanizeDuration }}',
  },
];

/** Alert rules that are worth being woken for, or being told of in the morning. */
export function rulesDocument(
  topology: Pick<Topology, 'ordering' | 'organisations'>,
  members: readonly Member[],
): unknown {
  const { consensus } = topology.ordering;
  const orderers = (list: readonly { readonly orderer?: unknown }[]): number =>
    list.filter(({ orderer }) => orderer !== undefined).length;
  const watchesAll = orderers(members.map(({ organisation }) => organisation)) === orderers(topology.organisations);
  const rules = [...NODES, ...CONSENSUS[consensus], ...(watchesAll ? [noLeader(consensus)] : []), ...MACHINE];
  return {
    groups: [
      {
        name: JOB,
        rules: rules.map(({ alert, expr, for: duration, severity, summary }) => ({
          alert,
          expr,
          for: duration,
          labels: { severity },
          annotations: { summary },
        })),
      },
    ],
  };
}

/** Writes what Prometheus needs to watch a home's nodes, as they are now. */
export async function writeScrapeFile(
  paths: Pick<NetworkPaths, 'state'>,
  members: readonly Member[],
  topology: Pick<Topology, 'name' | 'ordering' | 'organisations'>,
): Promise<void> {
  await writeFileAtomic(scrapeFile(paths), stringify(scrapeDocument(topology, members), { lineWidth: 0 }));
  await writeFileAtomic(rulesFile(paths), stringify(rulesDocument(topology, members), { lineWidth: 0 }));
}
