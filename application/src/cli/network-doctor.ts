// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { DoctorFinding, DoctorReport } from '@sev/network';
import { addCommand, type Answer, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder } from './homes.js';
import { PORT, pair } from './values.js';

interface DoctorCommandOptions {
  readonly topology?: string;
  readonly homes?: string;
}

/** `sev network doctor` and what else helps to keep a network well. */
export function networkDoctorCommands(group: Command, run: Runner): void {
  addDoctor(group, run);
  addMetrics(group, run);
  addSystemd(group, run);
}

function addDoctor(group: Command, run: Runner): void {
  addCommand<DoctorCommandOptions>(group, run, {
    usage: 'doctor',
    summary: 'look for the usual causes of failures; changes nothing',
    examples: ['sev network doctor', 'sev network doctor --json'],
    notes:
      'Works with the network up, down, half up or never started. The codes are explained in docs/operations.md.\n' +
      `The exit code is ${String(EXIT_CODES.failure.code)} when an error is found; warnings do not count.`,
    options: (command) => {
      command.option('--topology <file>', 'consortium.yaml to use instead of the one that ships');
      command.option('--homes <folder>', 'folder of the homes whose identities are looked at (default .sev)');
    },
    work: async ({ terminal }, options) => {
      const { networkDoctor } = await import('@sev/network');
      terminal.status('looking');
      const { topology, homes } = options;
      const report = await networkDoctor({
        ...(topology === undefined ? {} : { topologyPath: topology }),
        ...(homes === undefined ? {} : { homes }),
      });
      return doctorAnswer(report);
    },
  });
}

interface MetricsOptions extends DoctorCommandOptions {
  readonly out?: string;
}

function addMetrics(group: Command, run: Runner): void {
  addCommand<MetricsOptions>(group, run, {
    usage: 'metrics',
    summary: 'figures for Prometheus that nodes do not tell themselves: certificates, restarts, disk, findings',
    examples: ['sev network metrics', 'sev network metrics --out /var/lib/node_exporter/textfile/sev.prom'],
    notes:
      "For the text file collector of Prometheus's node exporter. The nodes' own figures are at their operations\n" +
      "endpoints: prometheus.yml and alerts.yml in the network's state folder are written at every start.",
    options: (command) => {
      command.option('--topology <file>', 'consortium.yaml to use instead of the one that ships');
      command.option('--homes <folder>', 'folder of the homes whose identities are looked at (default .sev)');
      command.option('--out <file>', 'write there, whole or not at all, instead of to stdout');
    },
    work: async (_, { topology, homes, out }) => {
      const { networkMetrics } = await import('@sev/network');
      const metrics = await networkMetrics({
        ...(topology === undefined ? {} : { topologyPath: topology }),
        ...(homes === undefined ? {} : { homes }),
      });
      if (out === undefined) {
        return { data: { metrics }, text: metrics.trimEnd() };
      }
      const { writeFileAtomic } = await import('../store/files.js');
      await mkdir(dirname(resolve(out)), { recursive: true });
      await writeFileAtomic(resolve(out), metrics, { mode: 0o644 });
      return { data: { file: resolve(out) }, text: `written to ${resolve(out)}` };
    },
  });
}

interface SystemdOptions extends DoctorCommandOptions {
  readonly organisation: string;
  readonly out: string;
  readonly user: string;
  readonly store?: string;
  readonly storePort: number;
  readonly coordinatorPort: number;
  readonly attesterPort: number;
  readonly batcherPort: number;
  readonly attester?: Readonly<Record<string, string>>;
  readonly textfiles?: string;
}

function addSystemd(group: Command, run: Runner): void {
  addCommand<SystemdOptions>(group, run, {
    usage: 'systemd',
    summary: "write an organisation's systemd units: network nodes, store, attester, batcher, coordinator",
    examples: [
      'sev network systemd --organisation grid --out units',
      'sev network systemd --organisation grid --out units --user sev --store https://store.grid.example:8100 \\',
      '    --attester city=https://city.example:8201 --textfiles /var/lib/node_exporter/textfile',
    ],
    notes:
      'The network must have been brought up once: that makes keys and state. Then: copy the units to\n' +
      '/etc/systemd/system, sev network down, systemctl daemon-reload, systemctl enable --now sev-network-….service',
    options: (command) => {
      command.requiredOption('--organisation <name>', 'organisation whose units they are');
      command.requiredOption('--out <folder>', 'folder to write them to');
      command.option('--user <name>', 'user that owns the homes and runs the services', 'sev');
      command.option('--topology <file>', 'consortium.yaml to use instead of the one that ships');
      command.option('--homes <folder>', 'folder of the homes of organisations and programs (default .sev)');
      command.option('--store <url>', "address of the store (default: the organisation's own)");
      command.option('--store-port <n>', 'port of the store', PORT, 8_100);
      command.option('--coordinator-port <n>', 'port of the coordinator', PORT, 8_200);
      command.option('--attester-port <n>', 'port of the attester', PORT, 8_201);
      command.option('--batcher-port <n>', 'port of the batcher', PORT, 8_202);
      command.option('--attester <org=url>', "another organisation's attester; may be repeated", pair);
      command.option('--textfiles <folder>', "folder that Prometheus's node exporter reads text files from");
    },
    work: async (_, options) => {
      const { networkUnits } = await import('@sev/network');
      const { writeFileAtomic } = await import('../store/files.js');
      const { out, organisation, user, store, attester, textfiles, topology } = options;
      const units = await networkUnits(
        {
          organisation,
          user,
          homes: homesFolder(options.homes),
          sev: fileURLToPath(new URL('../../bin/sev.js', import.meta.url)),
          ports: {
            store: options.storePort,
            coordinator: options.coordinatorPort,
            attester: options.attesterPort,
            batcher: options.batcherPort,
          },
          ...(store === undefined ? {} : { storeUrl: store }),
          ...(attester === undefined ? {} : { attesters: attester }),
          ...(textfiles === undefined ? {} : { textfiles: resolve(textfiles) }),
        },
        topology === undefined ? {} : { topologyPath: topology },
      );
      await mkdir(resolve(out), { recursive: true });
      const files = Object.keys(units).map((name) => join(resolve(out), name));
      for (const [name, content] of Object.entries(units)) {
        await writeFileAtomic(join(resolve(out), name), content, { mode: 0o644 });
      }
      return { data: { files }, text: files.join('\n') };
    },
  });
}

const MARKS = { ok: 'ok     ', warning: 'warning', error: 'ERROR  ' } as const;

function findingText({ check, level, code, found, advice }: DoctorFinding): string {
  const what = level === 'ok' ? found : `${code}: ${found}`;
  const line = `${MARKS[level]}  ${check}: ${what}`;
  return advice === undefined ? line : `${line}\n           ${advice}`;
}

function doctorAnswer(report: DoctorReport): Answer {
  const { findings, errors, warnings, ok, home, kind, running } = report;
  const counts = `${String(errors)} errors, ${String(warnings)} warnings`;
  const text = [`network ${kind} in ${home}: ${running}`, ...findings.map(findingText), counts].join('\n');
  return { data: report, text, exitCode: ok ? EXIT_CODES.ok.code : EXIT_CODES.failure.code };
}
