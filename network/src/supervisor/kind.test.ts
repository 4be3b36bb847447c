// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import { chooseNetwork } from './kind.js';

describe('The choice of a network', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'sev-kind-'));
  });
  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
  });

  const codeOf = async (choice: Promise<unknown>): Promise<unknown> =>
    choice.then(
      () => 'chosen',
      (error: unknown) => (error instanceof NetworkError ? error.code : error),
    );
  /** Programs that say that they are of this version. */
  const fakePrograms = (version: string): string => {
    for (const program of ['peer', 'orderer', 'osnadmin', 'configtxgen', 'configtxlator']) {
      writeFileSync(join(home, program), `#!/bin/sh\necho " Version: v${version}"\n`, { mode: 0o755 });
    }
    writeFileSync(join(home, 'fabric-ca-server'), '#!/bin/sh\necho " Version: v1.5.15"\n', { mode: 0o755 });
    return home;
  };

  it('falls on the embedded one where programs of Fabric are absent, and names them', async () => {
    const choice = await chooseNetwork('auto', '/nowhere', home);
    expect(choice.kind).to.equal('embedded');
    expect(choice.reason).to.contain('peer, orderer, osnadmin');
  });

  it('falls on Fabric where its programs of the right version are found, and only then', async () => {
    expect((await chooseNetwork('auto', fakePrograms('3.1.5'), home)).kind).to.equal('fabric');
    const choice = await chooseNetwork('auto', fakePrograms('2.5.9'), home);
    expect(choice.kind).to.equal('embedded');
    expect(choice.reason).to.contain('is version 2.5.9');
  });

  it('says what is missing, or of the wrong version, and where to get it, when Fabric is asked for', async () => {
    const error = await chooseNetwork('fabric', '/nowhere', home).catch((reason: unknown) => reason as NetworkError);
    expect(error).to.have.property('code', 'FABRIC_MISSING');
    expect(error).to.have.property('message').that.contains('install the official releases');
    expect(await codeOf(chooseNetwork('fabric', fakePrograms('2.5.9'), home))).to.equal('FABRIC_VERSION');
  });

  it('stays with the kind whose state lies there', async () => {
    mkdirSync(join(home, 'fabric'));
    expect((await chooseNetwork('auto', fakePrograms('3.1.5'), home)).kind).to.equal('fabric');
    expect(await codeOf(chooseNetwork('auto', '/nowhere', home))).to.equal('FABRIC_MISSING');
    expect(await codeOf(chooseNetwork('embedded', '/nowhere', home))).to.equal('STATE_FOREIGN');
  });

  it('refuses words that are no kind', async () => {
    expect(await codeOf(chooseNetwork('docker', '/nowhere', home))).to.equal('NETWORK_KIND_INVALID');
  });
});
