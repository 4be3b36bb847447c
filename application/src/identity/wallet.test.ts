// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { Wallets } from './fabric-sdk.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { newPrivateKey, privateKeyPem } from './keys.js';
import { openWallet } from './wallet.js';

describe('wallet', () => {
  const temporary = temporaryDirectory();
  const identity = (label: string) => ({
    label,
    mspId: 'GridOperatorMSP',
    certificate: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n',
    privateKey: privateKeyPem(newPrivateKey()),
  });
  const fresh = async () => join(await mkdtemp(join(temporary(), 'home-')), 'wallet');

  it("is read by fabric-network's own file system wallet, and reads what that writes", async () => {
    const directory = await fresh();
    const wallet = await openWallet(directory);
    const ours = identity('operator');
    await wallet.put(ours);
    const theirs = await Wallets.newFileSystemWallet(directory);
    const { certificate, privateKey, mspId } = ours;
    const found = await theirs.get('operator');
    expect(found).to.deep.equal({ type: 'X.509', mspId, credentials: { certificate, privateKey } });
    await theirs.put('other', found!);
    expect(await wallet.get('other')).to.deep.equal({ ...ours, label: 'other' });
    expect(await wallet.list()).to.deep.equal(['operator', 'other']);
  });

  it('lets nobody else read keys', async () => {
    const directory = await fresh();
    await (await openWallet(directory)).put(identity('v-1'));
    expect((await stat(directory)).mode & 0o777).to.equal(0o700);
    expect((await stat(join(directory, 'v-1.id'))).mode & 0o777).to.equal(0o600);
  });

  it('says what is missing, malformed, or no name', async () => {
    const directory = await fresh();
    const wallet = await openWallet(directory);
    expect(await codeOf(wallet.get('nobody'))).to.equal('IDENTITY_MISSING');
    expect(await wallet.find('nobody')).to.equal(undefined);
    await writeFile(join(directory, 'half.id'), '{"type":"X.509"');
    expect(await codeOf(wallet.get('half'))).to.equal('FILE_MALFORMED');
    await writeFile(join(directory, 'other.id'), '{"type":"X.509","version":2}');
    expect(await codeOf(wallet.get('other'))).to.equal('FILE_MALFORMED');
    expect(await codeOf(wallet.put(identity('../outside')))).to.equal('LABEL_INVALID');
  });
});
