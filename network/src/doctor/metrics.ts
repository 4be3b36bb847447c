// SPDX-License-Identifier: Apache-2.0
import { statfs } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { nodeCredentials, readCertificate } from './credentials.js';
import { diagnose } from './doctor.js';
import { gatherFacts, type DoctorOptions, type Facts } from './facts.js';
import type { Finding } from './finding.js';
import { groupBy } from './group-by.js';

type Labels = Readonly<Record<string, string>>;
interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

/** A metric in Prometheus's text format (exposition format 0.0.4); nothing without samples. */
export function formatMetric(name: string, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) {
    return '';
  }
  const lines = samples.map(({ labels, value }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escape(text)}"`);
    return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value.toString()}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines, ''].join('\n');
}

async function certificateEnds(facts: Facts): Promise<Sample[]> {
  return Promise.all(
    (await nodeCredentials(facts)).map(async ({ what, certificate }) => ({
      labels: { what, file: certificate },
      value: Date.parse((await readCertificate(certificate)).validTo) / 1000,
    })),
  );
}

async function freeBytes({ paths }: Facts): Promise<Sample[]> {
  if (!existsSync(paths.home)) {
    return [];
  }
  const { bavail, bsize } = await statfs(paths.home);
  return [{ labels: { home: paths.home }, value: bavail * bsize }];
}

function problemCounts(findings: readonly Finding[]): Sample[] {
  const problems = findings.filter(({ level }) => level !== 'ok');
  return [...groupBy(problems, ({ code }) => code)].map(([code, list]) => ({
    labels: { code, level: list[0]?.level ?? '' },
    value: list.length,
  }));
}

/**
 * What nodes do not tell of themselves, in Prometheus's text format: ends of certificates, restarts, free disk space, and
 * what doctor finds. For the text file collector of Prometheus's node exporter.
 */
export async function networkMetrics(options: DoctorOptions = {}): Promise<string> {
  const facts = await gatherFacts(options);
  const { findings } = await diagnose(facts);
  const nodes = facts.live?.nodes ?? [];
  const ofNode = (value: (node: (typeof nodes)[number]) => number): Sample[] =>
    nodes.map((node) => ({
      labels: { node: node.name, kind: node.kind, organisation: node.organisation },
      value: value(node),
    }));
  return [
    formatMetric('sev_network_up', 'Whether the network of this home runs.', [
      { labels: {}, value: facts.running === 'up' ? 1 : 0 },
    ]),
    formatMetric(
      'sev_node_up',
      'Whether a process runs and is ready.',
      ofNode(({ running }) => (running ? 1 : 0)),
    ),
    formatMetric(
      'sev_node_restarts',
      'How often a process was started again since the network was started.',
      ofNode(({ restarts }) => restarts),
    ),
    formatMetric('sev_certificate_end_timestamp_seconds', 'When a certificate ends.', await certificateEnds(facts)),
    formatMetric('sev_disk_free_bytes', 'Space left for the ledgers.', await freeBytes(facts)),
    formatMetric('sev_doctor_findings', 'What sev network doctor finds wrong.', problemCounts(findings)),
    formatMetric('sev_metrics_timestamp_seconds', 'When this was written.', [
      { labels: {}, value: facts.nowMs / 1000 },
    ]),
  ].join('');
}
