// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { expect } from 'chai';
import { inHome } from '../config/homes.js';
import { organisationNamed, readRegistrar } from '../config/profile.js';
import { registry } from '../ledger/contracts.js';
import type { LedgerSession } from '../ledger/session.js';
import { testNetwork, type TestNetwork } from '../testing/network.js';
import { codeOf, rejection } from '../testing/temporary.js';
import { openCertificateAuthority } from './ca.js';
import { parseCertificate } from './certificates.js';
import { certificateRequest } from './csr.js';
import { assertAllAccepted, enrollVehicles } from './enrollment.js';
import { newPrivateKey } from './keys.js';
import { openMaker } from './maker.js';
import { openRegistrar } from './registrar.js';
import { revokeVehicles, type RevocationProgress, type RevokeVehiclesOptions } from './revocation.js';
import { installCertificates } from './vehicles.js';
import { openWallet } from './wallet.js';

describe('revocation of vehicles', function () {
  this.timeout(120_000);
  let network: TestNetwork;
  let session: LedgerSession;
  before(async () => {
    network = await testNetwork();
    session = await network.session('grid', 'operator');
  });

  async function fleetOf(organisation: string, count: number): Promise<{ home: string; vehicleIds: string[] }> {
    const own = join(network.homes, organisation);
    const credentials = () => readRegistrar(organisation, network.networkHome);
    const home = await network.newHome();
    const outcomes = await enrollVehicles({
      session: await network.session(organisation, 'registrar'),
      registrar: await openRegistrar(organisationNamed(network.profile, organisation), own, credentials),
      home: own,
      maker: await openMaker(join(network.homes, 'maker')),
      requests: await network.newVehicles(home, count),
    });
    assertAllAccepted(outcomes);
    await installCertificates(
      home,
      outcomes.map(({ issued }) => issued!),
    );
    return { home, vehicleIds: outcomes.map(({ vehicleId }) => vehicleId) };
  }
  const revoke = (vehicleIds: readonly string[], more: Partial<RevokeVehiclesOptions> = {}) => {
    const { profile, homes, networkHome } = network;
    return revokeVehicles({ profile, homes, networkHome, vehicleIds, reason: 'scrapped', ...more });
  };
  const statusOf = async (vehicleId: string) => (await registry(session).vehicle(vehicleId)).status;
  /** Whether the list names the serial number of the vehicle's certificate. */
  const lists = async (crlPem: string, home: string, vehicleId: string): Promise<boolean> => {
    const { certificate } = await (await openWallet(inHome.wallet(home))).get(vehicleId);
    const { serialNumber } = parseCertificate(certificate);
    const der = Buffer.from(crlPem.replace(/-----[^-]+-----/g, ''), 'base64');
    return crlPem.startsWith('-----BEGIN X509 CRL-----') && der.includes(Buffer.from(serialNumber, 'hex'));
  };

  it('takes vehicles of several organisations off the ledger, then off their CAs, and returns the lists', async () => {
    const [maker, city] = [await fleetOf('maker', 3), await fleetOf('city', 2)];
    const vehicleIds = [...maker.vehicleIds, ...city.vehicleIds];
    const steps: RevocationProgress[] = [];
    const result = await revoke(vehicleIds, { onProgress: (progress) => steps.push(progress) });
    expect(result).to.include({ revokedOnLedger: 5, revokedCertificates: 5 });
    expect(steps.map(({ step, done, total }) => `${step} ${done}/${total}`)).to.deep.equal(
      ['ledger', 'ca'].flatMap((step) => [1, 2, 3, 4, 5].map((done) => `${step} ${done}/5`)),
    );
    for (const vehicleId of vehicleIds) {
      expect(await statusOf(vehicleId)).to.equal('revoked');
    }
    expect(result.organisations.map(({ mspId }) => mspId)).to.have.members(['ManufacturerMSP', 'CityMSP']);
    for (const { home, vehicleIds: own } of [maker, city]) {
      const organisation = result.organisations.find((one) => own.every((id) => one.vehicleIds.includes(id)))!;
      expect(organisation.vehicleIds).to.have.members(own);
      for (const vehicleId of own) {
        expect(await lists(organisation.crlPem, home, vehicleId)).to.equal(true);
      }
      const other = home === maker.home ? city : maker;
      expect(await lists(organisation.crlPem, other.home, other.vehicleIds[0]!)).to.equal(false);
    }
  });

  it('goes on where it was broken off, and changes nothing the second time', async () => {
    const { home, vehicleIds } = await fleetOf('maker', 3);
    const registrar = await network.session('maker', 'registrar');
    await registry(registrar).setVehicleStatus({ vehicleId: vehicleIds[0]!, status: 'revoked', reason: 'before' });
    const steps: RevocationProgress[] = [];
    const result = await revoke(vehicleIds, { onProgress: (progress) => steps.push(progress) });
    expect(result).to.include({ revokedOnLedger: 2, revokedCertificates: 3 });
    expect(steps.filter(({ step }) => step === 'ledger').map(({ done, total }) => [done, total])).to.deep.equal([
      [1, 2],
      [2, 2],
    ]);
    const height = await session.height();
    const again = await revoke([...vehicleIds, ...vehicleIds]);
    expect(again).to.include({ revokedOnLedger: 0, revokedCertificates: 0 });
    expect(await lists(again.organisations[0]!.crlPem, home, vehicleIds[2]!)).to.equal(true);
    expect(await session.height()).to.equal(height);
    expect((await registry(session).vehicle(vehicleIds[0]!)).statusReason).to.equal('before');
  });

  it('leaves a vehicle no way back: the CA certifies it no more', async () => {
    const { home, vehicleIds } = await fleetOf('maker', 1);
    const [vehicleId] = vehicleIds as [string];
    const identity = await (await openWallet(inHome.wallet(home))).get(vehicleId);
    await revoke(vehicleIds, { caReason: 'keycompromise' });
    const authority = await openCertificateAuthority(organisationNamed(network.profile, 'maker'));
    const csr = certificateRequest(vehicleId, newPrivateKey());
    expect(await codeOf(authority.reenrol(identity, csr))).to.equal('CA_REFUSED');
  });

  it('refuses what it cannot finish before it changes anything', async () => {
    const { vehicleIds } = await fleetOf('maker', 1);
    const unknown = `v-${'A'.repeat(22)}`;
    expect(await codeOf(revoke([...vehicleIds, unknown]))).to.equal('VEHICLE_UNKNOWN');
    expect(await codeOf(revoke(vehicleIds, { reason: '' }))).to.equal('USAGE');
    expect(await codeOf(revoke(['../../x']))).to.equal('USAGE');
    const error = await rejection(revoke(vehicleIds, { homes: await network.newHome() }));
    expect(error).to.include({ code: 'IDENTITY_MISSING' });
    expect(await statusOf(vehicleIds[0]!)).to.equal('active');
    expect(await revoke([])).to.include({ revokedOnLedger: 0 });
  });
});
