// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { Command } from 'commander';
import { homeOf, inHome, organisationNamed, readConnectionProfile, readRegistrar } from '../config/index.js';
import { EXIT, SevError } from '../errors.js';
import type { EnrollmentOutcome, RotationOutcome, VehicleRequest } from '../identity/index.js';
import { counted } from '../report/plural.js';
import { addCommand, type Answer, type Runner } from './command.js';
import { EXIT_CODES } from './exit-codes.js';
import { homesFolder } from './homes.js';
import { Progress } from './progress.js';
import { readJsonFile, refusalLines, writeOut } from './vehicle-files.js';

interface RotateOptions {
  readonly home?: string;
  readonly vehicle?: readonly string[];
  readonly lost?: boolean;
  readonly out?: string;
}
interface RecoverOptions {
  readonly org: string;
  readonly homes?: string;
  readonly requests: string;
  readonly out?: string;
}

/** Commands by which vehicles get other keys. */
export function addKeyCommands(group: Command, run: Runner): void {
  addRotate(group, run);
  addRecover(group, run);
}

function addRotate(group: Command, run: Runner): void {
  addCommand<RotateOptions>(group, run, {
    usage: 'rotate',
    summary: "give vehicles new keys and certificates, on the ledger and in their home's wallet",
    examples: [
      'sev vehicle rotate --home car-7',
      'sev vehicle rotate --vehicle v-AbCdEfGhIjKlMnOpQrStUv v-BcDeFgHiJkLmNoPqRsTuVw',
      'sev vehicle rotate --lost --home car-7 --vehicle v-AbCdEfGhIjKlMnOpQrStUv --out request.json',
    ],
    notes:
      'The new key is on disk before anything leaves; broken off, the same command goes on with it. From the moment the\n' +
      'ledger has it, envelopes of the key before are refused; a vehicle that runs signs with the new one from its next\n' +
      'round on. The certificate before stays in date: it can read the ledger, and nothing more, until it ends.\n' +
      'With --lost it needs neither the present key nor its certificate: the car asks by its provisioning key for\n' +
      'another one, and `sev vehicle recover` at its registrar answers.',
    options: (command) => {
      command.option('--home <folder>', 'home of the vehicle or pool (default .sev/fleet)');
      command.option('--vehicle <ids...>', 'only these vehicles of the home (default: all that have a certificate)');
      command.option('--lost', 'the present keys are lost or their certificates have ended: write requests instead');
      command.option('--out <file>', 'where to write the requests for the registrar (with --lost)');
    },
    work: async ({ terminal }, options) => {
      const home = homeOf('fleet', options.home);
      if (options.lost === true) {
        return requestOthers(home, options);
      }
      const { rotateVehicles } = await import('../identity/index.js');
      const progress = new Progress({ terminal, label: 'rotated', unit: 'vehicles' });
      const outcomes = await rotateVehicles({
        profile: await readConnectionProfile(),
        home,
        vehicleIds: options.vehicle ?? (await installedIn(home)),
        onProgress: (done, total) => {
          progress.update(done, total);
        },
      });
      return rotateAnswer(outcomes);
    },
  });
}

async function installedIn(home: string): Promise<string[]> {
  const { vehiclesIn } = await import('../identity/index.js');
  const vehicleIds = (await vehiclesIn(home)).filter(({ installed }) => installed).map(({ vehicleId }) => vehicleId);
  if (vehicleIds.length === 0) {
    throw new SevError('IDENTITY_MISSING', `${home} holds no enrolled vehicle`, {
      hint: 'Name the home of the vehicles with --home.',
      exitCode: EXIT.usage,
    });
  }
  return vehicleIds;
}

async function requestOthers(home: string, { vehicle, out }: RotateOptions): Promise<Answer> {
  if (vehicle === undefined || out === undefined) {
    throw new SevError('USAGE', 'With --lost, say which with --vehicle and where to with --out', {
      exitCode: EXIT.usage,
    });
  }
  const { requestRecovery } = await import('../identity/index.js');
  const requests = await requestRecovery(home, vehicle);
  const written = await writeOut(out, requests);
  return { data: requests, text: `${counted(requests.length, 'new key')} made in ${home}${written}` };
}

function rotateAnswer(outcomes: readonly RotationOutcome[]): Answer {
  const refused = outcomes.filter((outcome) => !outcome.accepted);
  const rotated = outcomes.length - refused.length;
  const lines = refusalLines(refused);
  return {
    data: outcomes,
    text: [`${String(rotated)} rotated, ${String(refused.length)} refused`, ...lines].join('\n'),
    exitCode: refused.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
  };
}

function addRecover(group: Command, run: Runner): void {
  addCommand<RecoverOptions>(group, run, {
    usage: 'recover',
    summary: 'at the registrar: give vehicles that lost their keys the ones they ask for',
    examples: ['sev vehicle recover --requests request.json --out certificate.json --org maker'],
    notes:
      'It takes the request of the car (`sev vehicle rotate --lost`), the word of its maker, whose home must be among\n' +
      "--homes, and the registrar of the vehicle's organisation. `sev vehicle install` puts the answer into the home.\n" +
      'Suspend a vehicle whose key was stolen first, and reinstate it afterwards.',
    options: (command) => {
      command.option('--org <name>', 'organisation that the vehicles belong to', 'maker');
      command.option('--homes <folder>', 'folder of the homes of that organisation and of the maker (default .sev)');
      command.requiredOption('--requests <file>', 'requests written by `sev vehicle rotate --lost`');
      command.option('--out <file>', 'where to write the certificates');
    },
    work: async ({ terminal }, options) => {
      const requests = (await readJsonFile(options.requests, 'sev vehicle rotate --lost --out')) as VehicleRequest[];
      const progress = new Progress({ terminal, label: 'recovered', unit: 'vehicles' });
      const outcomes = await recoverRequests(options, requests, (done, total) => {
        progress.update(done, total);
      });
      return recoverAnswer(outcomes, options.out);
    },
  });
}

async function recoverRequests(
  options: RecoverOptions,
  requests: readonly VehicleRequest[],
  onProgress: (done: number, total: number) => void,
): Promise<EnrollmentOutcome[]> {
  const [identities, { openSession }] = await Promise.all([
    import('../identity/index.js'),
    import('../ledger/index.js'),
  ]);
  const profile = await readConnectionProfile();
  const organisation = organisationNamed(profile, options.org);
  const homes = homesFolder(options.homes);
  const home = join(homes, organisation.name);
  const registrar = await identities.openRegistrar(organisation, home, () => readRegistrar(organisation.name));
  const maker = await identities.openRecoveryMaker(join(homes, 'maker'));
  const wallet = await identities.openWallet(inHome.wallet(home));
  const identity = await identities.identityOf(organisation, wallet, 'registrar');
  const session = await openSession({ profile, identity });
  try {
    return await identities.recoverKeys({ session, registrar, home, maker, requests, onProgress });
  } finally {
    session.close();
  }
}

async function recoverAnswer(outcomes: readonly EnrollmentOutcome[], out: string | undefined): Promise<Answer> {
  const issued = outcomes.flatMap((outcome) => (outcome.issued === undefined ? [] : [outcome.issued]));
  const refused = outcomes.filter((outcome) => !outcome.accepted);
  const written = await writeOut(out, issued);
  return {
    data: outcomes,
    text: [
      `${String(issued.length)} recovered, ${String(refused.length)} refused${written}`,
      ...refusalLines(refused),
    ].join('\n'),
    exitCode: refused.length === 0 ? EXIT_CODES.ok.code : EXIT_CODES.refused.code,
  };
}
