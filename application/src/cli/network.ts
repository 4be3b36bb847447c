// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import type { NetworkStatus } from '@sev/network';
import { addCommand, addGroup, type Answer, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder } from './homes.js';
import { networkDeploymentCommands } from './network-deployment.js';
import { networkDoctorCommands } from './network-doctor.js';
import { networkLifecycleCommands } from './network-lifecycle.js';
import { networkOrgCommands } from './network-org.js';
import { wholeNumber } from './values.js';

interface HomesOption {
  readonly homes?: string;
}
interface UpOptions extends HomesOption {
  readonly topology?: string;
  readonly wait: number;
}

/** What a reader must know of a network that one process runs. */
export const TRUST_NOTE = {
  'single-operator':
    'trust: single-operator — one operator holds all keys; it proves contracts and clients, not decentralised trust',
  consortium: 'trust: consortium — each organisation holds its own keys',
} as const;

export function networkCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'network', 'bring the network up and down');
  addCommand<UpOptions>(group, run, {
    usage: 'up',
    summary: 'start the network and set the consortium up; harmless when it runs already',
    examples: ['sev network up', 'SEV_PORT_OFFSET=100 sev network up', 'sev network up --json'],
    options: (command) => {
      command.option('--topology <file>', 'consortium.yaml to use instead of the one that ships');
      command.option('--homes <folder>', "folder of the organisations' homes (default .sev)");
      command.option(
        '--wait <s>',
        'how long an organisation by itself waits for the others',
        wholeNumber(1, 86_400),
        120,
      );
    },
    work: async ({ terminal }, options) => {
      const started = performance.now();
      const { networkStatus, networkUp } = await import('@sev/network');
      const onProgress = (message: string): void => {
        terminal.status(message);
      };
      const topology = options.topology === undefined ? {} : { topologyPath: options.topology };
      await networkUp({ ...topology, waitMs: options.wait * 1000, onProgress });
      const { bootstrap } = await import('../run/network-ready.js');
      await bootstrap(homesFolder(options.homes), onProgress);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      const answer = statusAnswer(await networkStatus({}));
      return { ...answer, text: `${answer.text}\nready after ${seconds} s` };
    },
  });
  addCommand(group, run, {
    usage: 'down',
    summary: 'stop the network; ledgers and identities stay',
    examples: ['sev network down'],
    work: async ({ terminal }) => {
      const { networkDown } = await import('@sev/network');
      await networkDown({
        onProgress: (message) => {
          terminal.status(message);
        },
      });
      return { data: { running: false }, text: 'the network is down' };
    },
  });
  addCommand(group, run, {
    usage: 'status',
    summary: 'show whether the network runs, and what it is',
    examples: ['sev network status', 'sev network status --json'],
    notes: `The exit code is ${String(EXIT_CODES.unreachable.code)} while the network is not running.`,
    work: async () => {
      const { networkStatus } = await import('@sev/network');
      return statusAnswer(await networkStatus({}));
    },
  });
  addCommand(group, run, {
    usage: 'restart [node...]',
    summary: 'restart the network, or single processes of a Fabric network one after the other',
    examples: ['sev network restart', 'sev network restart peer.grid orderer.grid'],
    work: async ({ terminal }, _options, nodes) => {
      const { controlNetwork, networkDown, networkPaths, networkUp } = await import('@sev/network');
      const onProgress = (message: string): void => {
        terminal.status(message);
      };
      if (nodes.length > 0) {
        await controlNetwork(networkPaths(), { action: 'restart', nodes: [...nodes] });
        return { data: { restarted: nodes }, text: `restarted ${nodes.join(', ')}` };
      }
      await networkDown({ onProgress });
      return statusAnswer(await networkUp({ onProgress }));
    },
  });
  addCommand<{ readonly lines: number }>(group, run, {
    usage: 'logs [process...]',
    summary: 'show the ends of the logs: of the network, or of processes by name',
    examples: ['sev network logs', 'sev network logs peer.grid --lines 100', 'sev network logs orderer'],
    options: (command) => {
      command.option('--lines <number>', 'how many lines of each', wholeNumber(1, 100_000), 20);
    },
    work: async (_context, { lines }, names) => {
      const { networkLogs } = await import('@sev/network');
      const tails = await networkLogs(names, lines);
      const text = tails.map(({ name, file, lines: end }) => [`── ${name} (${file})`, ...end].join('\n')).join('\n\n');
      return { data: { logs: tails }, text };
    },
  });
  addCommand(group, run, {
    usage: 'programs',
    summary: "show which of Fabric's programs a Fabric network would run; fails where one is missing or too old",
    examples: ['sev network programs'],
    work: async () => {
      const { findPrograms } = await import('@sev/network');
      const programs = await findPrograms();
      const text = Object.entries(programs).map(([name, file]) => `${name.padEnd(18)} ${file}`);
      return { data: { programs }, text: text.join('\n') };
    },
  });
  networkDeploymentCommands(group, run);
  networkDoctorCommands(group, run);
  networkLifecycleCommands(group, run);
  networkOrgCommands(group, run);
  addCommand<HomesOption>(group, run, {
    usage: 'clean',
    summary: 'stop the network and remove its ledgers and identities',
    examples: ['sev network clean'],
    options: (command) => {
      command.option('--homes <folder>', 'folder of the homes that belong to it (default .sev)');
    },
    work: async ({ terminal }, options) => {
      const { networkClean } = await import('@sev/network');
      const { knownHomes, removeHomes } = await import('../run/network-ready.js');
      const names = await knownHomes();
      await networkClean({
        onProgress: (message) => {
          terminal.status(message);
        },
      });
      await removeHomes(homesFolder(options.homes), names);
      return { data: { removed: true, homes: names }, text: 'ledgers and identities are removed' };
    },
  });
}

/** Processes of a Fabric network that run from here. */
function nodeLines({ nodes }: NetworkStatus): string[] {
  return nodes.map(({ name, address, pid, running, restarts }) => {
    const state = running ? `running (pid ${String(pid)})` : 'not running';
    const again = restarts > 0 ? `, started again ${String(restarts)} ×` : '';
    return `    ${name.padEnd(44)} ${address.padEnd(26)} ${state}${again}`;
  });
}

function statusAnswer(status: NetworkStatus): Answer {
  const organisations = status.organisations.map((o) => {
    const state = o.chaincode?.running === true ? `running (pid ${String(o.chaincode.pid)})` : 'not running';
    const chaincode = status.running && o.chaincode === undefined ? 'elsewhere' : state;
    return `  ${o.name.padEnd(10)} ${o.mspId.padEnd(18)} gateway ${o.gateway}  CA ${o.ca}  chaincode ${chaincode}`;
  });
  const lines = status.running
    ? [
        `network ${status.kind}: running, channel ${status.channel}, ${String(status.height)} blocks`,
        TRUST_NOTE[status.trust],
        `genesis ${status.genesisHash ?? 'not known'}`,
        ...organisations,
        ...nodeLines(status),
      ]
    : [`network ${status.kind}: not running`, TRUST_NOTE[status.trust], 'start it with `sev network up`'];
  const exitCode = status.running ? EXIT_CODES.ok.code : EXIT_CODES.unreachable.code;
  return { data: status, text: lines.join('\n'), exitCode };
}
