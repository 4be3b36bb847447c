// SPDX-License-Identifier: Apache-2.0
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { inHome } from '../config/homes.js';
import { organisationNamed, readRegistrar } from '../config/profile.js';
import { assertAllAccepted, enrollVehicles } from '../identity/enrollment.js';
import { openMaker } from '../identity/maker.js';
import { openRegistrar } from '../identity/registrar.js';
import type { StoredIdentity } from '../identity/stored-identity.js';
import { installCertificates } from '../identity/vehicles.js';
import { openWallet } from '../identity/wallet.js';
import { governance, registry } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import type { LedgerSession } from '../ledger/session.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { sev, type CliRun } from '../testing/run.js';
import { rejection } from '../testing/temporary.js';

/** What a network says to an identity that it does not let in. */
const SHUT_OUT = /access denied|creator|not authorized|policy on signed data|certificate has been revoked/i;

describe('sev network revoke', function () {
  this.timeout(240_000);
  let network: TestNetwork;
  let home: string;
  let vehicleIds: string[];
  const sessions: LedgerSession[] = [];
  let homeBefore: string | undefined;

  before(async () => {
    network = await testNetwork();
    homeBefore = process.env['SEV_NETWORK_HOME'];
    process.env['SEV_NETWORK_HOME'] = network.networkHome;
    home = await network.newHome();
    const own = join(network.homes, 'city');
    const outcomes = await enrollVehicles({
      session: await network.session('city', 'registrar'),
      registrar: await registrarOf('city'),
      home: own,
      maker: await openMaker(join(network.homes, 'maker')),
      requests: await network.newVehicles(home, 3),
    });
    assertAllAccepted(outcomes);
    await installCertificates(
      home,
      outcomes.map(({ issued }) => issued!),
    );
    vehicleIds = outcomes.map(({ vehicleId }) => vehicleId);
  });
  after(async () => {
    // Other tests look at what the organisations' homes hold.
    await rm(join(network.homes, 'city', 'wallet', 'visitor.id'), { force: true });
    sessions.forEach((session) => {
      session.close();
    });
    if (homeBefore === undefined) {
      delete process.env['SEV_NETWORK_HOME'];
    } else {
      process.env['SEV_NETWORK_HOME'] = homeBefore;
    }
  });

  const registrarOf = (organisation: string) =>
    openRegistrar(organisationNamed(network.profile, organisation), join(network.homes, organisation), () =>
      readRegistrar(organisation, network.networkHome),
    );
  const revoke = (...args: string[]): Promise<CliRun> =>
    sev('network', 'revoke', ...args, '--homes', network.homes, '--json');
  const sessionOf = async (identity: StoredIdentity): Promise<LedgerSession> => {
    const session = await openSession({ profile: network.profile, identity, retry: { reconnectMs: 0 } });
    sessions.push(session);
    return session;
  };
  const vehicle = async (vehicleId: string): Promise<LedgerSession> =>
    sessionOf(await (await openWallet(inHome.wallet(home))).get(vehicleId));
  const statusOf = async (vehicleId: string): Promise<string> =>
    (await registry(await network.session('grid', 'operator')).vehicle(vehicleId)).status;

  it('shuts vehicles out in one go: refused by the ledger, then at every gateway, while others go on', async () => {
    const [first = '', second = '', third = ''] = vehicleIds;
    const before = await vehicle(first);
    expect((await governance(before).consortium()).docType).to.equal('consortium');
    const file = join(await network.newHome(), 'stolen.txt');
    await writeFile(file, `# stolen on Monday\n${second}\n\n${first} # twice\n`);
    const { code, stderr, stdout } = await revoke(first, '--vehicles-file', file, '--reason', 'stolen');
    expect({ code, stderr: code === 0 ? '' : stderr }).to.deep.equal({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).to.deep.include({ revokedOnLedger: 2, revokedCertificates: 2 });
    for (const vehicleId of [first, second]) {
      expect(await statusOf(vehicleId)).to.equal('revoked');
      const session = await vehicle(vehicleId);
      for (const attempt of [
        () => governance(session).consortium(),
        () => registry(session).setVehicleStatus({ vehicleId, status: 'active', reason: 'mine' }),
      ]) {
        expect(String(await rejection(attempt()))).to.match(SHUT_OUT);
      }
    }
    expect(await statusOf(third)).to.equal('active');
    expect((await governance(await vehicle(third)).consortium()).docType).to.equal('consortium');
  });

  it('changes nothing when it is done again', async () => {
    const [first = ''] = vehicleIds;
    const { code, stdout } = await revoke(first, '--reason', 'stolen');
    expect(code).to.equal(0);
    const answer = JSON.parse(stdout) as { published: { updated: boolean }[] };
    expect(answer).to.deep.include({ revokedOnLedger: 0, revokedCertificates: 0 });
    expect(answer.published.some(({ updated }) => updated)).to.equal(false);
  });

  it('shuts out people and programs of an organisation, and keeps who was out before', async () => {
    const visitor = await (await registrarOf('city')).registerAndEnrol('visitor', 'attester');
    expect((await governance(await sessionOf(visitor)).consortium()).docType).to.equal('consortium');
    const { code, stdout } = await revoke('visitor', '--organisation', 'city', '--reason', 'left');
    expect(code).to.equal(0);
    expect(JSON.parse(stdout)).to.deep.include({ revokedCertificates: 1 });
    expect(String(await rejection(governance(await sessionOf(visitor)).consortium()))).to.match(SHUT_OUT);
    const [first = ''] = vehicleIds;
    expect(String(await rejection(governance(await vehicle(first)).consortium()))).to.match(SHUT_OUT);
  });

  it('refuses what would stop the nodes, nobody, and strangers', async () => {
    const answers = [
      await revoke('peer', '--organisation', 'city', '--reason', 'x'),
      await revoke('--reason', 'x'),
      await revoke(`v-${'A'.repeat(22)}`, '--reason', 'x'),
      await revoke('nobody', '--organisation', 'city', '--reason', 'x'),
      await revoke('--vehicles-file', join(home, 'none.txt'), '--reason', 'x'),
    ];
    expect(answers.map(({ code }) => code)).to.deep.equal([2, 2, 3, 3, 2]);
    expect(answers.map(({ stderr }) => /^([A-Z_]+): /m.exec(stderr)?.[1])).to.deep.equal([
      'USAGE',
      'USAGE',
      'VEHICLE_UNKNOWN',
      'CA_IDENTITY_UNKNOWN',
      'FILE_UNREADABLE',
    ]);
  });
});
