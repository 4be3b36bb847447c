// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { parse } from 'yaml';
import { loadTopology } from '../topology/load.js';
import { planPorts } from '../topology/ports.js';
import { organisationLayout, type Member } from './layout.js';
import { rulesDocument, rulesFile, scrapeFile, writeScrapeFile } from './monitoring.js';

interface Rules {
  groups: {
    rules: {
      alert: string;
      expr: string;
      for: string;
      labels: Record<string, string>;
      annotations: { summary: string };
    }[];
  }[];
}
interface Scrape {
  rule_files: string[];
  scrape_configs: { static_configs: { targets: string[]; labels: Record<string, string> }[] }[];
}

describe('What Prometheus is told', () => {
  const topology = loadTopology(
    fileURLToPath(new URL('../../../test-network-config/consortium.yaml', import.meta.url)),
    'fabric',
  );
  let members: Member[];
  const paths = { state: mkdtempSync(join(tmpdir(), 'sev-monitoring-')) };

  before(async () => {
    const plan = await planPorts(topology, 0, undefined, 'fabric');
    members = topology.organisations.map((organisation) => ({
      organisation,
      ports: plan.ports[organisation.name]!,
      layout: organisationLayout(paths.state, organisation.name),
    }));
  });
  after(() => {
    rmSync(paths.state, { recursive: true, force: true });
  });
  const rules = (consensus: 'bft' | 'raft', here = members) => {
    const ordering = { ...topology.ordering, consensus };
    return (rulesDocument({ ...topology, ordering }, here) as Rules).groups.flatMap((group) => group.rules);
  };

  it('is every operations endpoint of the nodes of a home, on loopback, once', async () => {
    await writeScrapeFile(paths, members, topology);
    const scrape = parse(readFileSync(scrapeFile(paths), 'utf8')) as Scrape;
    expect(scrape.rule_files).to.deep.equal(['alerts.yml']);
    const configs = scrape.scrape_configs.flatMap(({ static_configs: configs }) => configs);
    const targets = configs.flatMap((config) => config.targets);
    expect(new Set(targets).size).to.equal(12);
    expect(targets.every((target) => target.startsWith('127.0.0.1:'))).to.equal(true);
    expect(configs).to.deep.include({
      targets: ['127.0.0.1:7055'],
      labels: { organisation: 'grid', kind: 'peer', node: 'peer.grid' },
    });
  });

  it('is rules that can be read back, each with a name of its own', async () => {
    await writeScrapeFile(paths, members, topology);
    const read = (parse(readFileSync(rulesFile(paths), 'utf8')) as Rules).groups.flatMap((group) => group.rules);
    expect(read).to.deep.equal(rules('bft'));
    for (const consensus of ['bft', 'raft'] as const) {
      const names = rules(consensus).map(({ alert }) => alert);
      expect(new Set(names).size).to.equal(names.length);
      for (const rule of rules(consensus)) {
        expect(rule.for).to.match(/^\d+[smh]$/);
        expect(rule.labels['severity']).to.be.oneOf(['critical', 'warning']);
        const count = (mark: string): number => rule.expr.split(mark).length;
        expect(count('('), rule.expr).to.equal(count(')'));
        expect(count('{'), rule.expr).to.equal(count('}'));
      }
    }
  });

  it('asks for a leader only where all orderers are watched', () => {
    const names = (here: Member[]): string[] => rules('bft', here).map(({ alert }) => alert);
    expect(names(members)).to.include('SevNoLeader');
    expect(names(members.slice(0, 1))).not.to.include('SevNoLeader');
  });
});
