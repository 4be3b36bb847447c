// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { VehicleRecord } from '@sev/chaincode/api';
import type { Command } from 'commander';
import { homeOf, organisationNamed, parseFile, readConnectionProfile } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import type { EnrollmentOutcome, IssuedCertificate, ProvisionedCar, VehicleRequest } from '../identity/index.js';
import { counted } from '../report/plural.js';
import { renderTable } from '../report/summary.js';
import { addCommand, addGroup, type Answer, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder, withSession } from './homes.js';
import { Progress } from './progress.js';
import { addKeyCommands } from './vehicle-keys.js';
import { readJsonFile, refusalLines, writeOut } from './vehicle-files.js';
import { addVehicleRun } from './vehicle-run.js';
import { wholeNumber } from './values.js';

interface ProvisionOptions {
  readonly home?: string;
  readonly count: number;
  readonly out: string;
}
interface InitOptions {
  readonly home?: string;
  readonly provisioning: string;
  readonly org?: string;
  readonly out?: string;
}
interface EnrollOptions {
  readonly org: string;
  readonly homes?: string;
  readonly home?: string;
  readonly count?: number;
  readonly requests?: string;
  readonly out?: string;
}
interface InstallOptions {
  readonly home?: string;
}
interface LedgerOptions {
  readonly org: string;
  readonly home?: string;
  readonly homes?: string;
}
interface StatusOptions extends LedgerOptions {
  readonly reason: string;
}

const STATUS_COMMANDS = [
  { name: 'suspend', status: 'suspended', summary: 'take a vehicle out of learning for a while' },
  { name: 'reinstate', status: 'active', summary: 'let a suspended vehicle take part again' },
  { name: 'revoke', status: 'revoked', summary: 'take a vehicle out for good' },
] as const;

/** Options that say with which organisation's identity the ledger is asked. */
function ledgerOptions(command: Command, org: string): void {
  command.option('--org <name>', 'organisation whose identity is used', org);
  command.option('--home <folder>', 'home of that organisation (default .sev/<organisation>)');
  command.option('--homes <folder>', 'folder of the homes, one named after each organisation');
}

export function vehicleCommands(program: Command, run: Runner): void {
  const group = addGroup(program, 'vehicle', 'enrol vehicles and see to them');
  addProvision(group, run);
  addInit(group, run);
  addEnroll(group, run);
  addInstall(group, run);
  addKeyCommands(group, run);
  addList(group, run);
  addShow(group, run);
  for (const change of STATUS_COMMANDS) {
    addStatusChange(group, run, change);
  }
  addVehicleRun(group, run);
}

function addProvision(group: Command, run: Runner): void {
  addCommand<ProvisionOptions>(group, run, {
    usage: 'provision',
    summary: 'at the maker: make what the factory puts into each car, so that its maker knows it again',
    examples: ['sev vehicle provision --count 1 --out car-7-provisioning.json --home maker'],
    notes:
      'The file holds private keys, which only the cars may have: one entry for each car, to be brought into its home\n' +
      'with `sev vehicle init` and then deleted. The maker keeps no copy.',
    options: (command) => {
      command.option('--home <folder>', 'home of the maker (default .sev/maker)');
      command.option('--count <n>', 'cars', wholeNumber(1, 100_000), 1);
      command.requiredOption('--out <file>', 'where to write it; only its owner can read it');
    },
    work: async (_context, options) => {
      const { provisionCars } = await import('../identity/index.js');
      const { PRIVATE_FILE, writeJson } = await import('../store/files.js');
      const cars = await provisionCars(homeOf('maker', options.home), options.count);
      await writeJson(options.out, cars, { mode: PRIVATE_FILE });
      const provisioningIds = cars.map(({ provisioningId }) => provisioningId);
      return {
        data: { provisioningIds, out: options.out },
        text: `${counted(cars.length, 'car')} provisioned, written to ${options.out}: delete it once the cars have it`,
      };
    },
  });
}

function addInit(group: Command, run: Runner): void {
  addCommand<InitOptions>(group, run, {
    usage: 'init',
    summary: "make keys and random ids in a vehicle's home and ask for identities; the keys never leave it",
    examples: [
      'sev vehicle init --provisioning car-7-provisioning.json --home car-7 --out car-7-request.json',
      'sev vehicle init --provisioning cars.json --org city --out requests.json',
    ],
    notes: 'Done again for the same cars it writes the same requests again, until their certificates are installed.',
    options: (command) => {
      command.requiredOption('--provisioning <file>', 'what the maker put into the cars (`sev vehicle provision`)');
      command.option('--home <folder>', 'home of the vehicle or pool (default .sev/fleet)');
      command.option('--org <name>', 'the only organisation that may enrol them (default: any that is asked)');
      command.option('--out <file>', 'where to write the requests for the registrar');
    },
    work: async (_context, options) => {
      const { initVehicles } = await import('../identity/index.js');
      const home = homeOf('fleet', options.home);
      const cars = await readCars(options.provisioning);
      const mspId = options.org === undefined ? undefined : await mspIdOf(options.org);
      const requests = await initVehicles({ home, cars, mspId });
      const written = await writeOut(options.out, requests);
      return { data: requests, text: `${counted(requests.length, 'vehicle')} made in ${home}${written}` };
    },
  });
}

async function readCars(path: string): Promise<ProvisionedCar[]> {
  const { provisionedCars } = await import('../identity/index.js');
  return parseFile(provisionedCars, path, await readJsonFile(path, 'sev vehicle provision --out'));
}

async function mspIdOf(organisation: string): Promise<string> {
  return organisationNamed(await readConnectionProfile(), organisation).mspId;
}

function addEnroll(group: Command, run: Runner): void {
  addCommand<EnrollOptions>(group, run, {
    usage: 'enroll',
    summary: 'enrol vehicles: attestation from the maker, certificate from the CA, record on the ledger',
    examples: [
      'sev vehicle enroll --count 20',
      'sev vehicle enroll --org city --requests car-7-request.json --out car-7-certificate.json',
    ],
    notes:
      'With --count the steps provision, init, enroll and install run one after the other on this machine, for cars of\n' +
      "the maker whose home is here; what is the cars' own ends up in the fleet's home only. Without it the\n" +
      "registrar enrols what a request file asks for, and the vehicle's owner installs the answer.\n" +
      'Broken off, the same command goes on where it stopped: no vehicle is enrolled twice.',
    options: (command) => {
      command.option('--org <name>', 'organisation that enrols them', 'maker');
      command.option('--homes <folder>', 'folder of the homes of that organisation and of the maker (default .sev)');
      command.option('--home <folder>', 'home of the fleet, with --count (default .sev/fleet)');
      command.option('--count <n>', 'enrol until the fleet home holds this many vehicles', wholeNumber(1, 100_000));
      command.option('--requests <file>', 'requests written by `sev vehicle init --out`');
      command.option('--out <file>', 'where to write the certificates (with --requests)');
    },
    work: async ({ terminal }, options) => {
      const { enrollFleet, enrollRequests } = await import('../run/fleet.js');
      const progress = new Progress({ terminal, label: 'enrolled', unit: 'vehicles' });
      const onProgress = (done: number, total: number): void => {
        progress.update(done, total);
      };
      const homes = homesFolder(options.homes);
      if ((options.count === undefined) === (options.requests === undefined)) {
        throw new SevError('USAGE', 'Say either --count or --requests', { exitCode: EXIT.usage });
      }
      if (options.count !== undefined) {
        const home = options.home ?? join(homes, 'fleet');
        const fleet = await enrollFleet({ org: options.org, homes, home, count: options.count, onProgress });
        const text = `${counted(fleet.vehicles.length, 'vehicle')} in ${home}: ${String(fleet.enrolled)} enrolled now`;
        return { data: fleet, text };
      }
      const requests = await readRequests(options.requests ?? '');
      const outcomes = await enrollRequests({ org: options.org, homes, requests, onProgress });
      return enrollAnswer(outcomes, options.out);
    },
  });
}

async function enrollAnswer(outcomes: readonly EnrollmentOutcome[], out: string | undefined): Promise<Answer> {
  const issued = outcomes.flatMap((outcome) => (outcome.issued === undefined ? [] : [outcome.issued]));
  const refused = outcomes.filter((outcome) => !outcome.accepted);
  const written = await writeOut(out, issued);
  const { hintFor } = await import('../ledger/index.js');
  const hintOf = ({ code = '', hint }: EnrollmentOutcome) => hint ?? hintFor(code);
  const lines = refusalLines(refused.map((outcome) => ({ ...outcome, hint: hintOf(outcome) })));
  return {
    data: outcomes.map((outcome) => ({ ...outcome, hint: hintOf(outcome) })),
    text: [`${String(issued.length)} enrolled, ${String(refused.length)} refused${written}`, ...lines].join('\n'),
    exitCode: refused.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
  };
}

function addInstall(group: Command, run: Runner): void {
  addCommand<InstallOptions>(group, run, {
    usage: 'install <file>',
    summary: "put issued certificates into the vehicle's wallet",
    examples: ['sev vehicle install car-7-certificate.json --home car-7'],
    options: (command) => {
      command.option('--home <folder>', 'home of the vehicle or pool (default .sev/fleet)');
    },
    work: async (_context, options, [file = '']) => {
      const { installCertificates } = await import('../identity/index.js');
      const issued = (await readJsonFile(file, 'sev vehicle enroll --out')) as IssuedCertificate[];
      const home = homeOf('fleet', options.home);
      await installCertificates(home, issued);
      return {
        data: { installed: issued.length, home },
        text: `${counted(issued.length, 'certificate')} installed in ${home}`,
      };
    },
  });
}

function addList(group: Command, run: Runner): void {
  addCommand<LedgerOptions>(group, run, {
    usage: 'list',
    summary: 'list the vehicles on the ledger',
    examples: ['sev vehicle list', 'sev vehicle list --json'],
    options: (command) => {
      ledgerOptions(command, 'grid');
    },
    work: (_context, options) =>
      withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const { registry } = await import('../ledger/index.js');
        const vehicles: VehicleRecord[] = [];
        for await (const vehicle of registry(session).vehicles()) {
          vehicles.push(vehicle);
        }
        const rows = vehicles.map((v) => [
          v.vehicleId,
          v.mspId,
          v.domain,
          v.status,
          new Date(v.enrolledAtMs).toISOString(),
        ]);
        const table = renderTable(['vehicle', 'organisation', 'domain', 'status', 'enrolled'], rows, new Set());
        return { data: vehicles, text: vehicles.length === 0 ? 'no vehicles are enrolled' : table };
      }),
  });
}

function addShow(group: Command, run: Runner): void {
  addCommand<LedgerOptions>(group, run, {
    usage: 'show <vehicle>',
    summary: 'show a vehicle and how its record changed',
    examples: ['sev vehicle show v-AbCdEfGhIjKlMnOpQrStUv'],
    options: (command) => {
      ledgerOptions(command, 'grid');
    },
    work: (_context, options, [vehicleId = '']) =>
      withSession({ ...options, label: 'operator' }, async ({ session }) => {
        const { registry } = await import('../ledger/index.js');
        const record = await registry(session).vehicle(vehicleId);
        const text = Object.entries(record).map(([name, value]) => `${name.padEnd(24)} ${String(value)}`);
        return { data: record, text: text.join('\n') };
      }),
  });
}

function addStatusChange(group: Command, run: Runner, change: (typeof STATUS_COMMANDS)[number]): void {
  addCommand<StatusOptions>(group, run, {
    usage: `${change.name} <vehicle>`,
    summary: change.summary,
    examples: [`sev vehicle ${change.name} v-AbCdEfGhIjKlMnOpQrStUv --reason "…"`],
    options: (command) => {
      ledgerOptions(command, 'maker');
      command.option(
        '--reason <text>',
        'why; it is on the ledger for ever, so nothing personal',
        `${change.name} by operator`,
      );
    },
    work: (_context, options, [vehicleId = '']) =>
      withSession({ ...options, label: 'registrar' }, async ({ session }) => {
        const { registry } = await import('../ledger/index.js');
        const contract = registry(session);
        const before = await contract.vehicle(vehicleId);
        // The contract would keep the record as it is, reason included; the answer must not read as if it changed.
        if (before.status === change.status) {
          const text = `${vehicleId} is already ${before.status} (${before.statusReason}); nothing changed`;
          return { data: { ...before, unchanged: true }, text };
        }
        const request = { vehicleId, status: change.status, reason: options.reason };
        const { result, transactionId } = await contract.setVehicleStatus(request);
        return {
          data: { ...result, transactionId },
          text: `${vehicleId} is ${result.status} (transaction ${transactionId})`,
        };
      }),
  });
}

async function readRequests(path: string): Promise<VehicleRequest[]> {
  return (await readJsonFile(path, 'sev vehicle init --out')) as VehicleRequest[];
}
