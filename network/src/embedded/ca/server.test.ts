// SPDX-License-Identifier: Apache-2.0
import { verify } from 'node:crypto';
import { webcrypto } from 'node:crypto';
import { expect } from 'chai';
import { newMembershipVerifier } from '../msp/verifier.js';
import { serializeIdentity } from '../msp/identity.js';
import { x509 } from '../msp/x509.js';
import { attributesOf, certificateOf, refusal, startTestCa, TEST_MSP, type TestCa } from './testing/ca.js';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };

async function certificateRequest(id: string, hosts: string[] = []): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(P256, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [id] }],
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions:
      hosts.length === 0
        ? []
        : [new x509.SubjectAlternativeNameExtension(hosts.map((value) => ({ type: 'dns' as const, value })))],
  });
  return request.toString('pem');
}

describe('The CA, by fabric-ca-client', function () {
  this.timeout(20_000);
  let ca: TestCa;
  before(async () => {
    ca = await startTestCa();
  });
  after(() => ca.close());

  const register = async (id: string, more: Record<string, unknown> = {}): Promise<string> =>
    ca
      .client()
      .register(
        { enrollmentID: id, affiliation: 'grid.fleet', role: 'client', maxEnrollments: -1, ...more },
        await ca.admin(),
      );

  it('tells its name and its root', async () => {
    const info = await ca.client().getCaInfo(await ca.admin());
    expect(info.caName).to.equal('ca-grid');
    expect(info.caChain).to.equal(ca.material.identityCa.certificatePem);
  });

  it('enrols a registered identity with its type and attributes in the certificate', async () => {
    const secret = await register('v-1', {
      attrs: [
        { name: 'role', value: 'vehicle', ecert: true },
        { name: 'quiet', value: 'x' },
      ],
    });
    const certificate = certificateOf(await ca.enroll('v-1', secret));
    expect(certificate.subjectName.getField('CN')).to.deep.equal(['v-1']);
    expect(certificate.subjectName.getField('OU')).to.deep.equal(['client']);
    expect(attributesOf(certificate)).to.deep.equal({
      role: 'vehicle',
      'hf.EnrollmentID': 'v-1',
      'hf.Type': 'client',
      'hf.Affiliation': 'grid.fleet',
    });
  });

  it('puts exactly the attributes in that are asked for, and refuses when one is missing', async () => {
    const secret = await register('v-2', { attrs: [{ name: 'quiet', value: 'x' }] });
    const enrollment = { enrollmentID: 'v-2', enrollmentSecret: secret };
    const enrolled = await ca.client().enroll({
      ...enrollment,
      attr_reqs: [
        { name: 'quiet', optional: false },
        { name: 'absent', optional: true },
      ],
    });
    expect(attributesOf(new x509.X509Certificate(enrolled.certificate))).to.deep.equal({ quiet: 'x' });
    const call = ca.client().enroll({ ...enrollment, attr_reqs: [{ name: 'absent', optional: false }] });
    expect((await refusal(call)).message).to.contain('required attributes are missing: [absent]');
  });

  it('certifies a key that the client alone holds', async () => {
    const secret = await register('v-3');
    const csr = await certificateRequest('v-3');
    const enrolled = await ca.client().enroll({ enrollmentID: 'v-3', enrollmentSecret: secret, csr });
    const certificate = new x509.X509Certificate(enrolled.certificate);
    const requested = new x509.Pkcs10CertificateRequest(csr);
    expect(Buffer.from(certificate.publicKey.rawData)).to.deep.equal(Buffer.from(requested.publicKey.rawData));
    expect(enrolled).not.to.have.property('key');
  });

  it('refuses a request in another name, one whose signature does not hold, and one that is none', async () => {
    const secret = await register('v-4');
    const enroll = (csr: string): Promise<unknown> =>
      ca.client().enroll({ enrollmentID: 'v-4', enrollmentSecret: secret, csr });
    expect((await refusal(enroll(await certificateRequest('v-1')))).code).to.equal(77);
    const der = Buffer.from(x509.PemConverter.decodeFirst(await certificateRequest('v-4')));
    der[der.length - 1]! ^= 1;
    expect((await refusal(enroll(x509.PemConverter.encode(der, 'CERTIFICATE REQUEST')))).code).to.equal(31);
    expect((await refusal(enroll('nonsense'))).code).to.equal(31);
  });

  it('refuses wrong secrets and unknown identities in the same words', async () => {
    const secret = await register('v-5');
    const wrong = await refusal(ca.enroll('v-5', `${secret}x`));
    expect(wrong).to.deep.equal({ code: 20, message: 'Authentication failure' });
    expect(await refusal(ca.enroll('nobody', secret))).to.deep.equal(wrong);
    await ca.enroll('v-5', secret);
  });

  it('locks an identity after ten wrong secrets', async () => {
    const secret = await register('v-6');
    for (let attempt = 0; attempt < 10; attempt++) {
      expect((await refusal(ca.enroll('v-6', 'wrong'))).code).to.equal(20);
    }
    expect((await refusal(ca.enroll('v-6', secret))).code).to.equal(73);
  });

  it('enrols no more often than registered for, and re-enrolment does not count', async () => {
    const secret = await register('v-7', { maxEnrollments: 1 });
    const [user, ...refused] = await Promise.allSettled([ca.enroll('v-7', secret), ca.enroll('v-7', secret)]).then(
      (results) => results.sort((a, b) => (a.status < b.status ? -1 : 1)),
    );
    expect(user.status).to.equal('fulfilled');
    expect(refused.map(({ status }) => status)).to.deep.equal(['rejected']);
    const before = certificateOf((user as PromiseFulfilledResult<Awaited<ReturnType<TestCa['enroll']>>>).value);
    const renewed = await ca
      .client()
      .reenroll((user as PromiseFulfilledResult<Awaited<ReturnType<TestCa['enroll']>>>).value, []);
    const after = new x509.X509Certificate(renewed.certificate);
    expect(after.serialNumber).not.to.equal(before.serialNumber);
    expect(after.subject).to.equal(before.subject);
  });

  it('registers no id twice, and none with a colon or beyond 64 characters', async () => {
    await register('v-8');
    expect((await refusal(register('v-8'))).code).to.equal(74);
    expect((await refusal(register('v:8'))).code).to.equal(5);
    expect((await refusal(register('v'.repeat(65)))).code).to.equal(5);
  });

  it('lets nobody register who is no registrar, nor beyond its types and rights', async () => {
    const vehicle = await ca.enroll('v-9', await register('v-9'));
    const request = { enrollmentID: 'v-10', affiliation: '', role: 'client' };
    expect(await refusal(ca.client().register(request, vehicle))).to.deep.equal({
      code: 71,
      message: 'Authorization failure',
    });

    const attrs = [
      { name: 'hf.Registrar.Roles', value: 'client' },
      { name: 'hf.Registrar.Attributes', value: 'role' },
    ];
    const registrar = await ca.enroll('r-1', await register('r-1', { attrs }));
    const by = (more: Record<string, unknown>): Promise<string> =>
      ca.client().register({ ...request, ...more }, registrar);
    expect((await refusal(by({ role: 'peer' }))).code).to.equal(71);
    expect((await refusal(by({ attrs: [{ name: 'other', value: 'x' }] }))).code).to.equal(71);
    expect((await refusal(by({ attrs: [{ name: 'hf.Revoker', value: 'true' }] }))).code).to.equal(71);
    expect((await refusal(by({ attrs: [{ name: 'hf.Type', value: 'admin' }] }))).code).to.equal(71);
    expect(await by({ attrs: [{ name: 'role', value: 'vehicle', ecert: true }] })).to.be.a('string');
  });

  it('revokes an identity with all its certificates, and gives the list to the membership checks before it answers', async () => {
    const secret = await register('v-11');
    const user = await ca.enroll('v-11', secret);
    const second = certificateOf(await ca.enroll('v-11', secret));
    const answer = (await ca
      .client()
      .revoke({ enrollmentID: 'v-11', reason: 'keycompromise', gencrl: true } as never, await ca.admin())) as {
      result: { RevokedCerts: { Serial: string }[]; CRL: string };
    };
    const serials = [certificateOf(user).serialNumber, second.serialNumber].sort();
    expect(answer.result.RevokedCerts.map(({ Serial }) => Serial).sort()).to.deep.equal(serials);
    const pem = Buffer.from(answer.result.CRL, 'base64').toString('utf8');
    expect(pem).to.match(/^-----BEGIN X509 CRL-----/);

    const msp = newMembershipVerifier([{ mspId: TEST_MSP, identityCaCert: ca.material.identityCa.certificatePem }]);
    const serialized = serializeIdentity(TEST_MSP, second.toString('pem'));
    expect(msp.identify(serialized, Date.now()).ou).to.equal('client');
    for (const list of [pem, ca.lists.at(-1)!]) {
      await msp.setRevocationLists(TEST_MSP, [list]);
      expect(() => msp.identify(serialized, Date.now())).to.throw('The certificate has been revoked');
    }
    expect((await refusal(ca.enroll('v-11', secret))).code).to.equal(20);
    expect((await refusal(ca.client().reenroll(user, []))).code).to.equal(20);
  });

  it('revokes one certificate by serial and authority, once', async () => {
    const secret = await register('v-12');
    const user = await ca.enroll('v-12', secret);
    const certificate = certificateOf(user);
    const aki = certificate.getExtension(x509.AuthorityKeyIdentifierExtension)!.keyId!;
    const revoke = async (): Promise<unknown> =>
      ca.client().revoke({ enrollmentID: '', aki, serial: certificate.serialNumber }, await ca.admin());
    await revoke();
    expect((await refusal(revoke())).code).to.equal(66);
    expect((await refusal(ca.client().reenroll(user, []))).code).to.equal(20);
    await ca.enroll('v-12', secret);
  });

  it('lets nobody revoke others without the right to; everybody itself', async () => {
    const vehicle = await ca.enroll('v-13', await register('v-13'));
    await register('v-14');
    expect((await refusal(ca.client().revoke({ enrollmentID: 'v-14' }, vehicle))).code).to.equal(71);
    expect((await refusal(ca.client().revoke({ enrollmentID: 'none' }, await ca.admin()))).code).to.equal(10);
    await ca.client().revoke({ enrollmentID: 'v-13' }, vehicle);
    expect((await refusal(ca.client().reenroll(vehicle, []))).code).to.equal(20);
  });

  it('generates a list that its root has signed', async () => {
    const admin = await ca.admin();
    const user = await ca.enroll('v-15', await register('v-15'));
    await ca.client().revoke({ enrollmentID: 'v-15' }, admin);
    const encoded = (await ca.client().generateCRL({}, admin)) as string;
    const list = new x509.X509Crl(x509.PemConverter.decodeFirst(Buffer.from(encoded, 'base64').toString('utf8')));
    const root = new x509.X509Certificate(ca.material.identityCa.certificatePem);
    expect(await list.verify({ publicKey: root })).to.equal(true);
    expect(list.entries.map(({ serialNumber }) => serialNumber)).to.include(certificateOf(user).serialNumber);
    const vehicle = await ca.enroll('v-16', await register('v-16'));
    expect((await refusal(ca.client().generateCRL({}, vehicle))).code).to.equal(71);
  });

  it('shows and changes identities, to registrars only', async () => {
    const admin = await ca.admin();
    const vehicle = await ca.enroll(
      'v-17',
      await register('v-17', { attrs: [{ name: 'role', value: 'vehicle', ecert: true }] }),
    );
    const identities = ca.client().newIdentityService();
    const one = (await identities.getOne('v-17', admin)) as { result: { id: string; type: string } };
    expect(one.result).to.include({ id: 'v-17', type: 'client' });
    const all = (await identities.getAll(admin)) as { result: { identities: { id: string }[] } };
    expect(all.result.identities.map(({ id }) => id)).to.include.members(['admin', 'v-17']);
    expect((await refusal(identities.getAll(vehicle))).code).to.equal(71);
    expect((await refusal(identities.getOne('none', admin))).code).to.equal(63);
    const change = { attrs: [{ name: 'role', value: 'auditor', ecert: true }], enrollmentSecret: 'chosen secret' };
    await identities.update('v-17', change as never, admin);
    const changed = certificateOf(await ca.enroll('v-17', 'chosen secret'));
    expect(attributesOf(changed)).to.include({ role: 'auditor' });
    expect((await refusal(identities.delete('v-17', admin))).code).to.equal(56);
  });

  it('issues TLS certificates from its TLS CA, to nodes and to services of this machine', async () => {
    const secret = await register('peer-9', { role: 'peer' });
    const enroll = async (id: string, enrollmentSecret: string, host = 'localhost'): Promise<string> => {
      const csr = await certificateRequest(id, [host]);
      return (await ca.client().enroll({ enrollmentID: id, enrollmentSecret, csr, profile: 'tls' })).certificate;
    };
    const certificate = new x509.X509Certificate(await enroll('peer-9', secret));
    expect(
      await certificate.verify({
        publicKey: new x509.X509Certificate(ca.material.tlsCa.certificatePem),
        signatureOnly: true,
      }),
    ).to.equal(true);
    expect((await refusal(enroll('v-18', await register('v-18')))).code).to.equal(71);
    const as = (role: string) => ({ attrs: [{ name: 'role', value: role, ecert: true }] });
    expect((await refusal(enroll('operator-9', await register('operator-9', as('operator'))))).code).to.equal(71);
    const aggregator = await register('aggregator-9', as('aggregator'));
    const served = new x509.X509Certificate(await enroll('aggregator-9', aggregator));
    expect(served.getExtension(x509.ExtendedKeyUsageExtension)!.usages).to.deep.equal([
      x509.ExtendedKeyUsage.serverAuth,
    ]);
    expect((await refusal(enroll('aggregator-9', aggregator, 'peer.example'))).code).to.equal(71);
  });

  it('refuses tokens that sign another call, that the client signed with another key, and those of strangers', async () => {
    const stranger = await startTestCa();
    try {
      const foreign = await stranger.admin();
      expect((await refusal(ca.client().reenroll(foreign, []))).code).to.equal(20);
    } finally {
      await stranger.close();
    }
    const admin = await ca.admin();
    const signing = admin.getSigningIdentity() as unknown as { sign: (message: string, options?: unknown) => Buffer };
    const sign = signing.sign.bind(signing);
    signing.sign = (message, options) => sign(message.replace('POST', 'GET'), options);
    expect((await refusal(ca.client().reenroll(admin, []))).code).to.equal(20);
  });

  it('answers another CA name and an unknown call in its envelope', async () => {
    const { default: FabricCAServices } = await import('fabric-ca-client');
    const tls = { trustedRoots: [ca.material.tlsCa.certificatePem], verify: true };
    const other = new FabricCAServices(ca.url(), tls, 'ca-maker');
    const { enrollmentId, enrollmentSecret } = ca.registrar;
    const call = other.enroll({ enrollmentID: enrollmentId, enrollmentSecret });
    expect((await refusal(call)).code).to.equal(19);
    const affiliations = ca
      .client()
      .newAffiliationService()
      .getAll(await ca.admin());
    expect((await refusal(affiliations)).message).to.contain('not supported by the embedded network');
  });

  it('remembers registrations and revocations after a restart', async () => {
    const secret = await register('v-19', { maxEnrollments: 1 });
    const user = await ca.enroll('v-19', secret);
    const other = await register('v-20');
    const victim = await ca.enroll('v-20', other);
    await ca.client().revoke({ enrollmentID: 'v-20' }, await ca.admin());
    await ca.restart();
    expect((await refusal(ca.enroll('v-19', secret))).code).to.equal(20);
    await ca.client().reenroll(user, []);
    expect((await refusal(ca.client().reenroll(victim, []))).code).to.equal(20);
    const list = new x509.X509Crl(x509.PemConverter.decodeFirst(ca.lists.at(-1)!));
    expect(list.entries.map(({ serialNumber }) => serialNumber)).to.include(certificateOf(victim).serialNumber);
  });

  it('issues certificates that end when the setting says, and takes none that has ended', async () => {
    const secret = await register('v-21');
    await ca.restart({ enrollmentValidityMs: 0 });
    const user = await ca.enroll('v-21', secret);
    expect((await refusal(ca.client().reenroll(user, []))).code).to.equal(20);
    await ca.restart();
  });

  it('signs so that Go and OpenSSL take it as it stands: DER, low S', async () => {
    const certificate = certificateOf(await ca.admin());
    const der = Buffer.from(certificate.rawData);
    const body = der.subarray(4, 4 + 4 + der.readUInt16BE(6));
    const root = new x509.X509Certificate(ca.material.identityCa.certificatePem);
    const key = (await root.publicKey.export()) as webcrypto.CryptoKey;
    const { KeyObject } = await import('node:crypto');
    expect(verify('sha256', body, KeyObject.from(key), Buffer.from(certificate.signature))).to.equal(true);
  });
});
