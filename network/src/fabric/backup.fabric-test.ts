// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import { networkDown } from '../supervisor/down.js';
import { networkPaths, registrarPath } from '../supervisor/paths.js';
import { poll } from '../supervisor/poll.js';
import { networkUp } from '../supervisor/up.js';
import { readState } from '../supervisor/state.js';
import { backupOrganisation } from './backup.js';
import { upgradeChaincode } from './deploy.js';
import { organisationLayout } from './layout.js';
import { restoreOrganisation } from './restore.js';
import { newTestClient } from './testing/client.js';
import { newTestFolder, requireFabric } from './testing/network.js';

const codeOf = async (action: Promise<unknown>): Promise<unknown> =>
  action.then(
    () => 'accepted',
    (error: unknown) => (error instanceof NetworkError ? error.code : error),
  );

describe('The backup of an organisation', function () {
  this.timeout(240_000);
  requireFabric(this);
  const folder = newTestFolder();
  const { options } = folder;
  const paths = networkPaths(options.home, 'fabric');
  const directory = dirname(options.home);
  const file = join(directory, 'city.tar');
  const programs = join(directory, 'programs', 'city');
  const elsewhere = { ...options, home: join(directory, 'elsewhere') };
  const layout = organisationLayout(paths.state, 'city');

  after(() => folder.remove());

  const put = async (organisation: string, key: string, value: string): Promise<void> => {
    const client = await newTestClient(options.home, organisation);
    try {
      await client.contract.submitTransaction('put', key, value);
    } finally {
      client.close();
    }
  };
  /** What an organisation's own peer answers, endorsed by it alone. */
  const get = async (organisation: string, key: string): Promise<string> => {
    const client = await newTestClient(options.home, organisation);
    try {
      return Buffer.from(await client.contract.evaluateTransaction('get', key)).toString();
    } finally {
      client.close();
    }
  };

  it('is made while the network runs, for its owner only', async () => {
    await networkUp(options);
    await put('grid', 'before', 'backup');
    mkdirSync(programs, { recursive: true });
    writeFileSync(join(programs, 'signing-key.pem'), 'of the programs', { mode: 0o600 });
    const manifest = await backupOrganisation('city', file, { ...options, programs });
    expect(manifest.ledgers).to.equal(false);
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const names = Object.keys(manifest.files);
    expect(names).to.include.members(['organisation/ca-database/ca.db', 'registrar.json', 'channel/genesis.block']);
    expect(names).to.include('programs/signing-key.pem');
    expect(names.filter((name) => /ledgersData|orderer\/data|logs\//.test(name))).to.deep.equal([]);
    expect(names.filter((name) => name.includes('lifecycle/chaincodes/'))).to.have.length(1);
    expect(names.filter((name) => /organisations\/(grid|maker|regulator)/.test(name))).to.deep.equal([]);
  });

  it('is refused over another file, for an unknown organisation, and with ledgers while they are written', async () => {
    expect(await codeOf(backupOrganisation('city', file, options))).to.equal('ALREADY_EXISTS');
    expect(await codeOf(backupOrganisation('nobody', `${file}.2`, options))).to.equal('ORGANISATION_UNKNOWN');
    expect(await codeOf(backupOrganisation('city', `${file}.2`, { ...options, ledgers: true }))).to.equal(
      'NETWORK_RUNNING',
    );
    expect(existsSync(`${file}.2`)).to.equal(false);
  });

  it('is not restored over a network that runs, nor over what is there, nor when it is damaged', async () => {
    expect(await codeOf(restoreOrganisation(file, options))).to.equal('NETWORK_RUNNING');
    await put('city', 'after', 'backup');
    await networkDown(options);
    const whole = await backupOrganisation('regulator', `${file}.with-ledgers`, { ...options, ledgers: true });
    expect(Object.keys(whole.files).filter((name) => /peer\/data\/ledgersData\/chains/.test(name))).to.not.be.empty;
    expect(Object.keys(whole.files).filter((name) => /orderer\/data\/chains/.test(name))).to.not.be.empty;
    appendFileSync(join(layout.ca, 'fabric-ca-server-config.yaml'), '# changed since\n');
    expect(await codeOf(restoreOrganisation(file, options))).to.equal('ALREADY_EXISTS');
    const damaged = readFileSync(file);
    damaged.write('X', damaged.indexOf('-----BEGIN PRIVATE KEY-----') + 40);
    writeFileSync(`${file}.damaged`, damaged);
    rmSync(elsewhere.home, { recursive: true, force: true });
    expect(await codeOf(restoreOrganisation(`${file}.damaged`, elsewhere))).to.equal('BACKUP_INVALID');
    writeFileSync(`${file}.foreign`, 'no tar at all');
    expect(await codeOf(restoreOrganisation(`${file}.foreign`, elsewhere))).to.equal('BACKUP_INVALID');
    expect(existsSync(organisationLayout(networkPaths(elsewhere.home, 'fabric').state, 'city').root)).to.equal(false);
  });

  it('is restored into an empty home, which then has the nodes of that organisation only', async () => {
    const place = join(directory, 'programs-elsewhere');
    await restoreOrganisation(file, { ...elsewhere, programs: (name) => join(place, name) });
    const target = networkPaths(elsewhere.home, 'fabric');
    expect((await readState(target))?.members).to.deep.equal(['city']);
    expect(readFileSync(join(place, 'city', 'signing-key.pem'), 'utf8')).to.equal('of the programs');
    const { ca, peer, root } = organisationLayout(target.state, 'city');
    expect(readFileSync(join(ca, 'fabric-ca-server-config.yaml'), 'utf8'))
      .to.include(root)
      .and.not.include(layout.root);
    expect(statSync(join(peer.msp, 'keystore', 'key.pem')).mode & 0o777).to.equal(0o600);
  });

  it('brings a lost organisation back: its peer gets the blocks from the others, and it goes on endorsing', async () => {
    for (const lost of [layout.root, dirname(registrarPath(paths, 'city')), programs]) {
      rmSync(lost, { recursive: true });
    }
    const result = await restoreOrganisation(file, { ...options, programs: () => programs });
    expect(result.restored).to.include.members([layout.root, registrarPath(paths, 'city'), programs]);
    await networkUp(options);
    const caughtUp = await poll(async () => ((await get('city', 'after')) === 'backup' ? true : undefined), 30_000);
    expect(caughtUp).to.equal(true);
    const client = await newTestClient(options.home, 'city');
    try {
      // With an endorsement of every organisation, its own among them.
      const everybody = ['GridOperatorMSP', 'ManufacturerMSP', 'CityMSP', 'RegulatorMSP'];
      await client.contract.submit('put', { arguments: ['restored', 'written'], endorsingOrganizations: everybody });
    } finally {
      client.close();
    }
    // What it had approved was on its peer only, in private data. It is not in the way of deploying again.
    expect(await upgradeChaincode(options)).to.deep.include({ committed: true, missing: [] });
    expect(await poll(async () => ((await get('grid', 'restored')) === 'written' ? true : undefined), 10_000)).to.equal(
      true,
    );
  });
});
