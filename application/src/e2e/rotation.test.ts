// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { publicKeyText, type VehicleRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import { inHome } from '../config/index.js';
import { openWallet } from '../identity/index.js';
import { Sandbox } from './testing/sandbox.js';
import { FULL, seededRandom } from './testing/seed.js';

const VEHICLES = 3;
const KILLS = FULL ? 20 : 4;

describe('`sev vehicle rotate`, killed at random points', function () {
  this.timeout(FULL ? 900_000 : 300_000);
  let sandbox: Sandbox;
  let fleet: string;
  let vehicles: string[];

  before(async () => {
    sandbox = await Sandbox.open();
    await sandbox.networkUp();
    ({ vehicles } = await sandbox.json<{ vehicles: string[] }>(['vehicle', 'enroll', '--count', String(VEHICLES)]));
    fleet = join(sandbox.homes, 'fleet');
  });
  after(() => sandbox.close());

  const recordOf = (vehicleId: string) => sandbox.json<VehicleRecord>(['vehicle', 'show', vehicleId]);
  const keyInWallet = async (vehicleId: string): Promise<string> => {
    const { privateKey } = await (await openWallet(inHome.wallet(fleet))).get(vehicleId);
    return publicKeyText(createPublicKey(createPrivateKey(privateKey)));
  };

  it('leaves every vehicle with the key that the ledger has, once it has run to its end', async () => {
    const random = seededRandom('rotations');
    const started = performance.now();
    await sandbox.json(['vehicle', 'rotate']);
    const duration = performance.now() - started;
    for (let kills = 0; kills < KILLS; kills += 1) {
      const running = sandbox.spawn(['vehicle', 'rotate', '--json']);
      // The first half of it is the program's own start.
      await Promise.race([delay(duration * (0.4 + 0.6 * random.uniform())), running.ended]);
      running.child.kill('SIGKILL');
      await running.ended;
    }
    await sandbox.json(['vehicle', 'rotate']);
    for (const vehicleId of vehicles) {
      const record = await recordOf(vehicleId);
      expect(record.publicKey).to.equal(await keyInWallet(vehicleId));
      expect(record.keyRotations).to.be.within(2, KILLS + 2);
      expect((await stat(join(inHome.wallet(fleet), `${vehicleId}.id`))).mode & 0o777).to.equal(0o600);
    }
    expect(await readdir(inHome.nextKeys(fleet))).to.deep.equal([]);
  });

  it('gives a vehicle that lost its key another one, by the word of its maker', async () => {
    const [vehicleId] = vehicles as [string];
    const before = await recordOf(vehicleId);
    const [request, certificate] = ['request.json', 'certificate.json'].map((name) => join(sandbox.directory, name));
    await sandbox.json(['vehicle', 'rotate', '--lost', '--vehicle', vehicleId, '--out', request!]);
    await sandbox.json(['vehicle', 'recover', '--requests', request!, '--out', certificate!]);
    await sandbox.json(['vehicle', 'install', certificate!]);
    const record = await recordOf(vehicleId);
    expect(record).to.include({ keySetBy: 'maker', keyRotations: before.keyRotations + 1 });
    expect(record.publicKey).to.equal(await keyInWallet(vehicleId));
  });

  it('says what is wrong with how it is called', async () => {
    const problem = await sandbox.problem(['vehicle', 'rotate', '--lost']);
    expect(problem.error.code).to.equal('USAGE');
    const home = join(sandbox.directory, 'nobody');
    expect((await sandbox.problem(['vehicle', 'rotate', '--home', home])).error.code).to.equal('IDENTITY_MISSING');
    const unknown = ['vehicle', 'rotate', '--vehicle', `v-${'A'.repeat(22)}`];
    expect((await sandbox.problem(unknown)).error.code).to.equal('IDENTITY_MISSING');
  });

  it('leaves a ledger that passes the audit', async () => {
    const audit = await sandbox.json<{ ok: boolean }>(['audit', 'verify']);
    expect(audit.ok).to.equal(true);
  });
});
