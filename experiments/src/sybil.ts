// SPDX-License-Identifier: Apache-2.0
import {
  ROOMY,
  SYBIL_KINDS,
  prepareGround,
  runCampaign,
  spendMakerSecret,
  type CampaignResult,
  type SpentSecret,
} from '@sev/chaincode/testing';
import { print, printTable, saveResults } from './output.js';
import { Sandbox } from './sandbox.js';
import { AttackedNetwork } from './sybil/attacked-network.js';
import { byLonePeer } from './sybil/by-lone-peer.js';
import { byProgram } from './sybil/by-program.js';

const ATTEMPTS = 1_000;
const IN_FLIGHT = 16;
const SECRET_ATTEMPTS = 200;
const SECRET_QUOTA = 60;

/**
 * A thousand attempts at a second identity for one physical car, on a network of their own; writes runs/sybil.json. The
 * exit code is 1 where one got in, or something else than expected happened. argv may name a seed.
 */
async function main(): Promise<void> {
  const seed = Number(process.argv[2] ?? Date.now() % 0xffff_ffff);
  const started = performance.now();
  const sandbox = await Sandbox.create();
  try {
    await sandbox.sev(['network', 'up']);
    const network = await AttackedNetwork.open(sandbox.networkHome, sandbox.homes);
    try {
      const { kind } = network.profile.network;
      print(`${kind} network, seed ${seed}`);
      const { campaign, secret } = await attack(network, seed);
      const audit = (await sandbox.sev(['audit', 'verify'])) as { readonly ok: boolean };
      const seconds = Math.round((performance.now() - started) / 1000);
      report(campaign, secret, audit.ok);
      await saveResults('sybil', { network: kind, seconds, ...campaign, makersSecret: secret, auditOk: audit.ok });
      print(`${seconds} s`);
      process.exitCode = holds(campaign, secret) && audit.ok ? 0 : 1;
    } finally {
      await network.close();
    }
  } finally {
    await sandbox.remove();
  }
}

async function attack(
  network: AttackedNetwork,
  seed: number,
): Promise<{ readonly campaign: CampaignResult; readonly secret: SpentSecret }> {
  await network.setPolicy(ROOMY);
  const ground = await prepareGround(await network.port(), ROOMY);
  print(`${ground.enrolled.length} honest cars of ${ground.port.organisations.length} organisations enrolled`);
  const kinds = [...SYBIL_KINDS, byLonePeer(network), ...byProgram(network)];
  const campaign = await runCampaign(ground, { attempts: ATTEMPTS, seed, kinds, inFlight: IN_FLIGHT });
  const policy = { ...ROOMY, vehicleQuota: SECRET_QUOTA };
  await network.setPolicy(policy);
  const hostile = network.profile.organisations.find(({ name }) => name === 'city');
  if (hostile === undefined) {
    throw new RangeError('the network has no organisation city');
  }
  const secret = await spendMakerSecret({ ...ground, policy }, hostile.mspId, SECRET_ATTEMPTS);
  return { campaign, secret };
}

function report(campaign: CampaignResult, secret: SpentSecret, isAudited: boolean): void {
  print('');
  printTable(
    ['attacker', 'kind', 'tried', 'refused', 'no change', 'got in'],
    campaign.kinds.map(({ attacker, kind, tried, refused, unchanged, gotIn }) => [
      attacker,
      kind,
      tried.toString(),
      codesOf(refused),
      unchanged.toString(),
      gotIn.toString(),
    ]),
  );
  const { attempts, gotIn, firsts, unexplained, changed } = campaign;
  print(`\n${attempts} attempts, ${gotIn} got in`);
  print(`${firsts} first identities beside them, ${unexplained} unexplained, ${changed} vehicles changed`);
  print(
    `apart: with the maker's secret ${secret.gotIn} of ${secret.tried} got in, quota ${secret.quota}, refused ${codesOf(secret.refused)}`,
  );
  print(`audit ${isAudited ? 'holds' : 'FAILS'}`);
}

function codesOf(refused: Readonly<Record<string, number>>): string {
  return Object.entries(refused)
    .map(([code, count]) => `${code} ${count}`)
    .join(', ');
}

function holds({ gotIn, unexplained, changed, kinds }: CampaignResult, secret: SpentSecret): boolean {
  const isExpected = kinds.every((kind) => kind.unexpected === 0);
  return gotIn === 0 && unexplained === 0 && changed === 0 && isExpected && secret.gotIn <= secret.quota;
}

await main();
