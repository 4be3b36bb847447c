// SPDX-License-Identifier: Apache-2.0
import { dirname, join } from 'node:path';

/** What the units of an organisation need to know. Paths are absolute. */
export interface UnitOptions {
  readonly organisation: string;
  /** Part of the network unit's name: the organisation, or the consortium where one home runs several. */
  readonly network: string;
  /** Whose processes they are; the owner of the homes. */
  readonly user: string;
  /** Home of the network, its state's description, its log, its topology file. */
  readonly networkHome: string;
  readonly stateFile: string;
  readonly logFile: string;
  readonly topologyFile: string;
  /** Folder of the homes of organisations and programs. */
  readonly homes: string;
  /** The programs: Node.js, the supervisor of the network, `sev`. */
  readonly node: string;
  readonly supervisor: string;
  readonly sev: string;
  /** Folders of Fabric's programs and of what else is to be on PATH. */
  readonly path: string;
  readonly ports: {
    readonly store: number;
    readonly coordinator: number;
    readonly attester: number;
    readonly batcher: number;
  };
  /** Address of the store that coordinator and attester use; default: the organisation's own. */
  readonly storeUrl?: string;
  /** Addresses of other organisations' attesters, by organisation. */
  readonly attesters?: Readonly<Record<string, string>>;
  /** Folder that Prometheus's node exporter reads text files from; without it nothing writes there. */
  readonly textfiles?: string;
}

/** An argument or value as systemd reads it: quoted, its specifiers (%) and variables ($) taken as they are. */
export function quote(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');
  return `"${escaped}"`;
}

const command = (...parts: readonly string[]): string =>
  parts.map((part) => quote(part).replaceAll('$', '$$$$')).join(' ');

/** What no service of ours needs. Node.js and Go make code at run time or look at interfaces: those two stay allowed. */
const HARDENING = [
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=',
  'ProtectSystem=strict',
  'ProtectHome=read-only',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'SystemCallArchitectures=native',
];

interface Unit {
  readonly description: string;
  readonly after: readonly string[];
  readonly wants?: readonly string[];
  readonly needs?: string;
  readonly service: readonly string[];
  readonly writes: readonly string[];
  readonly isWanted: boolean;
  /** Whether another user is to read what it writes. */
  readonly isForOthers?: boolean;
}

function render({ user }: UnitOptions, unit: Unit): string {
  const { description, after, wants = [], needs, service, writes, isWanted } = unit;
  const lines = [
    '[Unit]',
    `Description=${description}`,
    `After=${['network-online.target', 'time-sync.target', ...after].join(' ')}`,
    `Wants=${['network-online.target', ...wants].join(' ')}`,
    ...(needs === undefined ? [] : [`ConditionPathExists=${needs.replaceAll('%', '%%')}`]),
    'StartLimitIntervalSec=300',
    'StartLimitBurst=10',
    '',
    '[Service]',
    `User=${user}`,
    `UMask=${unit.isForOthers === true ? '0022' : '0077'}`,
    ...service,
    ...HARDENING,
    `ReadWritePaths=${writes.map(quote).join(' ')}`,
    ...(isWanted ? ['', '[Install]', 'WantedBy=multi-user.target'] : []),
  ];
  return `${lines.join('\n')}\n`;
}

function environment(options: UnitOptions): string[] {
  const { path, networkHome, homes, topologyFile } = options;
  const values = { PATH: path, SEV_NETWORK_HOME: networkHome, SEV_HOMES: homes, SEV_TOPOLOGY: topologyFile };
  return Object.entries(values).map(([name, value]) => `Environment=${quote(`${name}=${value}`)}`);
}

const networkUnitName = ({ network }: UnitOptions): string => `sev-network-${network}.service`;

function networkUnit(options: UnitOptions): string {
  const { network, networkHome, stateFile, logFile, topologyFile, node, supervisor } = options;
  return render(options, {
    description: `nodes of the ${network} network`,
    after: [],
    // Keys and state are made by the first `sev network up`.
    needs: stateFile,
    service: [
      'Type=exec',
      `WorkingDirectory=${networkHome.replaceAll('%', '%%')}`,
      ...environment(options),
      `ExecStart=${command(node, supervisor, networkHome, topologyFile, 'fabric')}`,
      `StandardOutput=append:${logFile.replaceAll('%', '%%')}`,
      'StandardError=inherit',
      'Restart=on-failure',
      'RestartSec=5',
      // The supervisor ends its nodes in order; what is left after that is killed.
      'KillMode=mixed',
      'KillSignal=SIGTERM',
      'TimeoutStopSec=60',
      'LimitNOFILE=65536',
    ],
    writes: [networkHome],
    isWanted: true,
  });
}

function serviceUnit(options: UnitOptions, description: string, home: string, start: string): string {
  return render(options, {
    description,
    after: [networkUnitName(options)],
    wants: [networkUnitName(options)],
    needs: join(options.networkHome, 'connection.json'),
    service: [
      'Type=exec',
      `WorkingDirectory=${options.homes.replaceAll('%', '%%')}`,
      ...environment(options),
      `ExecStart=${start}`,
      'Restart=on-failure',
      'RestartSec=5',
      'KillSignal=SIGTERM',
      'TimeoutStopSec=30',
      'LimitNOFILE=65536',
    ],
    writes: [home],
    isWanted: true,
  });
}

function metricsUnits(options: UnitOptions, textfiles: string): Record<string, string> {
  const { network, node, sev } = options;
  const file = join(textfiles, `sev-${network}.prom`);
  const service = render(options, {
    description: `figures of the ${network} network for Prometheus`,
    after: [],
    service: [
      'Type=oneshot',
      ...environment(options),
      `ExecStart=${command(node, sev, 'network', 'metrics', '--out', file)}`,
    ],
    writes: [textfiles],
    isWanted: false,
    isForOthers: true,
  });
  const timer = [
    '[Unit]',
    `Description=figures of the ${network} network, every five minutes`,
    '',
    '[Timer]',
    'OnBootSec=2min',
    'OnUnitActiveSec=5min',
    '',
    '[Install]',
    'WantedBy=timers.target',
    '',
  ].join('\n');
  return { [`sev-metrics-${network}.service`]: service, [`sev-metrics-${network}.timer`]: timer };
}

/**
 * The units of an organisation: its network nodes under their supervisor, its store, its attester, its update batcher, its coordinator (a
 * template: `sev-coordinator-grid@TASK`), and the figures for Prometheus.
 * @returns contents by file name
 */
export function renderUnits(options: UnitOptions): Readonly<Record<string, string>> {
  const { organisation, homes, ports, textfiles } = options;
  const store = options.storeUrl ?? `http://127.0.0.1:${ports.store.toString()}`;
  const own = join(homes, organisation);
  const storeHome = join(homes, `store-${organisation}`);
  const attesters = Object.entries(options.attesters ?? {}).flatMap(([name, url]) => ['--attester', `${name}=${url}`]);
  const who = ['--org', organisation, '--home', own];
  const shared = (port: number): string[] => [...who, '--store', store, '--port', port.toString()];
  const sev = (...args: readonly string[]): string => command(options.node, options.sev, ...args, '--json');
  const services = {
    store: sev('store', 'run', '--home', storeHome, '--port', ports.store.toString()),
    attester: sev('attester', 'run', ...shared(ports.attester)),
    batcher: sev('batcher', 'run', ...who, '--port', ports.batcher.toString()),
    // The instance's name is the task: systemd puts it in place of %i.
    coordinator: `${sev('coordinator', 'run', ...shared(ports.coordinator), ...attesters)} --task "%i"`,
  };
  return {
    [networkUnitName(options)]: networkUnit(options),
    [`sev-store-${organisation}.service`]: serviceUnit(options, `store of ${organisation}`, homes, services.store),
    [`sev-attester-${organisation}.service`]: serviceUnit(
      options,
      `attester of ${organisation}`,
      own,
      services.attester,
    ),
    [`sev-batcher-${organisation}.service`]: serviceUnit(options, `batcher of ${organisation}`, own, services.batcher),
    [`sev-coordinator-${organisation}@.service`]: serviceUnit(
      options,
      `coordinator of ${organisation}, task %i`,
      own,
      services.coordinator,
    ),
    ...(textfiles === undefined ? {} : metricsUnits(options, textfiles)),
  };
}

/** PATH for units: where this Node.js and Fabric's programs lie, and the system's own folders. */
export const unitPath = (node: string, programs: Readonly<Record<string, string>>): string =>
  [
    ...new Set([
      dirname(node),
      ...Object.values(programs).map((file) => dirname(file)),
      '/usr/local/bin',
      '/usr/bin',
      '/bin',
    ]),
  ].join(':');
