// SPDX-License-Identifier: Apache-2.0
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { mspFiles, tlsFiles } from './layout.js';
import { readSignedPart, signedPartOf, writeSignedPart, type SignedPart } from './signed-part.js';
import { enrolledMember, testTopology } from './testing/organisation.js';

describe("an organisation's signed public part", () => {
  let directory: string;
  let file: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sev-part-'));
    file = join(directory, 'part.json');
  });

  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  async function newMember(name = 'grid') {
    const [organisation] = testTopology(directory, [name]).organisations;
    return enrolledMember(directory, organisation!);
  }

  async function problemOf(signed: unknown): Promise<string> {
    await writeFile(file, typeof signed === 'string' ? signed : JSON.stringify(signed));
    const error = await readSignedPart(file).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(NetworkError).and.to.have.property('code', 'PART_INVALID');
    return (error as NetworkError).message;
  }

  it('is read as it was written, what governance is to know included', async () => {
    const signed = await signedPartOf(await newMember(), { roles: ['operator'], more: { b: 1, a: [null, 'x'] } });
    await writeSignedPart(file, signed);
    expect(await readSignedPart(file)).to.deep.equal(signed);
  });

  it('holds whatever the order of its fields', async () => {
    const signed = await signedPartOf(await newMember(), undefined);
    const reversed = Object.fromEntries(Object.entries(signed.part).reverse());
    await writeFile(file, JSON.stringify({ ...signed, part: reversed }));
    expect((await readSignedPart(file)).part).to.deep.equal(signed.part);
  });

  it('is refused when anything in it was changed', async () => {
    const signed = await signedPartOf(await newMember(), { signingKey: 'one' });
    const { part } = signed;
    const changes: SignedPart['part'][] = [
      { ...part, mspId: 'OtherMSP' },
      { ...part, peer: { ...part.peer, port: part.peer.port + 1 } },
      { ...part, governance: { signingKey: 'another' } },
    ];
    for (const changed of changes) {
      expect(await problemOf({ ...signed, part: changed })).to.contain('changed after');
    }
  });

  it('is refused when an identity other than an administrator from its root signed it', async () => {
    const member = await newMember();
    const admin = mspFiles(member.layout.adminMsp);
    const others = [
      await member.identityCa.issue('client'),
      await (await newMember('maker')).identityCa.issue('admin'),
    ];
    for (const { key, certificate } of others) {
      await writeFileAtomic(admin.key, key);
      await writeFileAtomic(admin.certificate, certificate);
      expect(await problemOf(await signedPartOf(member, undefined))).to.contain('administrator');
    }
  });

  it("is refused with an orderer that is not the organisation's, or has another host's certificate", async () => {
    const member = await newMember();
    const orderer = mspFiles(member.layout.orderer.msp);
    const tls = tlsFiles(member.layout.orderer.tls);
    await writeFileAtomic(tls.certificate, (await member.tlsCa.issue('orderer', ['elsewhere.example'])).certificate);
    expect(await problemOf(await signedPartOf(member, undefined))).to.contain('localhost');
    await writeFileAtomic(orderer.certificate, (await member.identityCa.issue('peer')).certificate);
    expect(await problemOf(await signedPartOf(member, undefined))).to.contain('not one of an orderer');
  });

  it('is refused when it is something else, is not readable, or is not there', async () => {
    const signed = await signedPartOf(await newMember(), undefined);
    expect(await problemOf('not JSON')).to.contain('not JSON');
    expect(await problemOf({})).to.contain("no organisation's public part");
    const certificate = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
    expect(await problemOf({ ...signed, adminCert: certificate })).to.contain('cannot be read');
    const missing = await readSignedPart(join(directory, 'none.json')).catch((reason: unknown) => reason);
    expect(missing).to.have.property('code', 'PART_INVALID');
  });
});
