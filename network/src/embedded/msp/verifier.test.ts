// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { CertificateAuthority, newKeyPair } from '../ca/authority.js';
import { MspError, type KeyPairPem, type NodeOu } from '../types.js';
import { newSigningIdentity, serializeIdentity } from './identity.js';
import { encodeSignature, parseSignature } from './signature.js';
import { newMembershipVerifier, type RevocableMembershipVerifier } from './verifier.js';
import { x509 } from './x509.js';

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HOUR_MS = 3_600_000;

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof MspError) {
      return error.reason;
    }
    throw error;
  }
  return 'accepted';
}

describe('The membership checks', () => {
  let a: CertificateAuthority;
  let b: CertificateAuthority;
  let rootA: KeyPairPem;
  let msp: RevocableMembershipVerifier;
  let now: number;

  const issue = async (ca: CertificateAuthority, units: string[], validityMs = HOUR_MS) => {
    const { privateKeyPem, publicKeySpki } = newKeyPair();
    const issued = await ca.issue({ commonName: 'someone', organisationalUnits: units, publicKeySpki, validityMs });
    return { ...issued, pair: { certificatePem: issued.pem, privateKeyPem } };
  };

  before(async () => {
    now = Date.now();
    rootA = await CertificateAuthority.createRoot('AMSP', 'ca-a');
    a = await CertificateAuthority.open(rootA);
    b = await CertificateAuthority.open(await CertificateAuthority.createRoot('BMSP', 'ca-b'));
  });
  beforeEach(() => {
    msp = newMembershipVerifier([
      { mspId: 'AMSP', identityCaCert: a.certificatePem },
      { mspId: 'BMSP', identityCaCert: b.certificatePem },
    ]);
  });

  it('tell clients, peers, admins and orderers apart', async () => {
    for (const ou of ['client', 'peer', 'admin', 'orderer'] satisfies NodeOu[]) {
      const { pem, notAfterMs } = await issue(a, [ou]);
      const identity = msp.identify(serializeIdentity('AMSP', pem), now);
      expect(identity).to.include({ mspId: 'AMSP', ou, certificatePem: pem, notAfterMs });
    }
  });

  it('refuse an identity with no such unit, or with two', async () => {
    for (const units of [[], ['user'], ['client', 'admin']]) {
      const { pem } = await issue(a, units);
      expect(reasonOf(() => msp.identify(serializeIdentity('AMSP', pem), now))).to.equal('NODE_OU');
    }
  });

  it("refuse another organisation's certificate, an unknown MSP, a CA's own certificate and bytes that are none", async () => {
    const { pem } = await issue(b, ['client']);
    const reason = (mspId: string, text: string): string =>
      reasonOf(() => msp.identify(serializeIdentity(mspId, text), now));
    expect(reason('AMSP', pem)).to.equal('NOT_ISSUED');
    expect(reason('CMSP', pem)).to.equal('MSP_UNKNOWN');
    expect(reason('AMSP', a.certificatePem)).to.equal('NOT_ISSUED');
    expect(reason('AMSP', 'nonsense')).to.equal('MALFORMED');
    expect(reason('AMSP', pem.replace(/\n[A-Za-z0-9+/]{64}/, '\nAAAA'))).to.equal('MALFORMED');
    expect(reasonOf(() => msp.identify(Buffer.from([0xff, 0xff]), now))).to.equal('MALFORMED');
  });

  it('refuse a certificate whose key cannot be decoded', async () => {
    const { pem } = await issue(a, ['peer']);
    const der = Buffer.from(x509.PemConverter.decodeFirst(pem));
    const curve = Buffer.from('06082a8648ce3d030107', 'hex');
    der[der.indexOf(curve) + curve.length - 1] = 0x7f;
    const broken = x509.PemConverter.encode(der, 'CERTIFICATE');
    expect(reasonOf(() => msp.identify(serializeIdentity('AMSP', broken), now))).to.equal('MALFORMED');
  });

  it('refuse a certificate of a CA that only bears the name of the real one', async () => {
    const impostor = await CertificateAuthority.open(await CertificateAuthority.createRoot('AMSP', 'ca-a'));
    const { pem } = await issue(impostor, ['client']);
    expect(reasonOf(() => msp.identify(serializeIdentity('AMSP', pem), now))).to.equal('NOT_ISSUED');
  });

  it('refuse by time, also what they accepted before', async () => {
    const { pem, notAfterMs } = await issue(a, ['client']);
    const bytes = serializeIdentity('AMSP', pem);
    expect(reasonOf(() => msp.identify(bytes, notAfterMs))).to.equal('accepted');
    expect(reasonOf(() => msp.identify(bytes, notAfterMs + 1))).to.equal('EXPIRED');
    expect(reasonOf(() => msp.identify(bytes, now - HOUR_MS))).to.equal('EXPIRED');
  });

  it('refuse what a list revokes, also what they accepted before, and only that', async () => {
    const [gone, stays] = [await issue(a, ['client']), await issue(a, ['client'])];
    const reason = ({ pem }: { pem: string }): string =>
      reasonOf(() => msp.identify(serializeIdentity('AMSP', pem), now));
    expect([reason(gone), reason(stays)]).to.deep.equal(['accepted', 'accepted']);
    const list = await a.issueRevocationList([
      { serial: gone.serial, revokedAtMs: now, reason: x509.X509CrlReason.keyCompromise },
    ]);
    await msp.setRevocationLists('AMSP', [list]);
    expect([reason(gone), reason(stays)]).to.deep.equal(['REVOKED', 'accepted']);
  });

  it('can leave time and revocation aside, but nothing else', async () => {
    const { pem, serial } = await issue(a, ['client'], -HOUR_MS / 2);
    const bytes = serializeIdentity('AMSP', pem);
    await msp.setRevocationLists('AMSP', [
      await a.issueRevocationList([{ serial, revokedAtMs: now, reason: x509.X509CrlReason.keyCompromise }]),
    ]);
    expect(reasonOf(() => msp.identify(bytes, now))).to.equal('REVOKED');
    expect(msp.identifyAtAnyTime(bytes).ou).to.equal('client');
    expect(reasonOf(() => msp.identifyAtAnyTime(serializeIdentity('BMSP', pem)))).to.equal('NOT_ISSUED');
    const { pem: roleless } = await issue(a, []);
    expect(reasonOf(() => msp.identifyAtAnyTime(serializeIdentity('AMSP', roleless)))).to.equal('NODE_OU');
  });

  it('take no list of another CA, and none that the CA did not sign', async () => {
    const list = await b.issueRevocationList([]);
    const message = await msp.setRevocationLists('AMSP', [list]).then(
      () => 'accepted',
      (error: unknown) => String(error),
    );
    expect(message).to.contain('does not belong to the CA');
    const der = Buffer.from(x509.PemConverter.decodeFirst(await a.issueRevocationList([])));
    der[der.length - 1]! ^= 1;
    const forged = await msp.setRevocationLists('AMSP', [x509.PemConverter.encode(der, 'X509 CRL')]).then(
      () => 'accepted',
      (error: unknown) => String(error),
    );
    expect(forged).to.contain('is not signed by the CA');
  });

  it('verify signatures, and refuse the higher S of a pair that holds', async () => {
    const { pair } = await issue(a, ['client']);
    const signer = newSigningIdentity('AMSP', pair);
    const identity = msp.identify(signer.serialized, now);
    const message = Buffer.from('message');
    const signature = signer.sign(message);
    const { r, s } = parseSignature(signature)!;
    expect(
      reasonOf(() => {
        msp.verify(identity, message, signature);
      }),
    ).to.equal('accepted');
    expect(
      reasonOf(() => {
        msp.verify(identity, message, encodeSignature({ r, s: ORDER - s }));
      }),
    ).to.equal('HIGH_S');
    expect(
      reasonOf(() => {
        msp.verify(identity, Buffer.from('other'), signature);
      }),
    ).to.equal('SIGNATURE');
    expect(
      reasonOf(() => {
        msp.verify(identity, message, Buffer.from('none'));
      }),
    ).to.equal('SIGNATURE');
  });

  it('remember only as many identities as they are told to', async () => {
    const small = newMembershipVerifier([{ mspId: 'AMSP', identityCaCert: rootA.certificatePem }], 2);
    const bytes = await Promise.all(
      [1, 2, 3].map(async () => serializeIdentity('AMSP', (await issue(a, ['client'])).pem)),
    );
    const first = small.identify(bytes[0]!, now);
    expect(small.identify(bytes[0]!, now)).to.equal(first);
    small.identify(bytes[1]!, now);
    small.identify(bytes[2]!, now);
    expect(small.identify(bytes[0]!, now)).not.to.equal(first);
  });
});
