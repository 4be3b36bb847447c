// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CertificateAuthority } from '../ca/authority.js';
import type { KeyPairPem } from '../types.js';
import { ensureMaterial } from './material.js';

const YEAR_MS = 365 * 86_400_000;

const endsMs = ({ certificatePem }: KeyPairPem): number => Date.parse(new X509Certificate(certificatePem).validTo);

describe("An organisation's keys and certificates", () => {
  const directory = mkdtempSync(join(tmpdir(), 'sev-material-'));
  const folder = join(directory, 'grid');
  after(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  it('are made once, hold for years, and belong together', async () => {
    const first = await ensureMaterial(folder, 'grid', 'GridOperatorMSP');
    expect(await ensureMaterial(folder, 'grid', 'GridOperatorMSP')).to.deep.equal(first);
    const identityRoot = new X509Certificate(first.identityCa.certificatePem);
    const tlsRoot = new X509Certificate(first.tlsCa.certificatePem);
    expect(endsMs(first.identityCa) - Date.now()).to.be.greaterThan(9.9 * YEAR_MS);
    const issuedBy = (root: X509Certificate, pairs: readonly KeyPairPem[]): void => {
      for (const pair of pairs) {
        const certificate = new X509Certificate(pair.certificatePem);
        expect(certificate.verify(root.publicKey)).to.equal(true);
        expect(certificate.checkPrivateKey(createPrivateKey(pair.privateKeyPem))).to.equal(true);
        expect(endsMs(pair) - Date.now()).to.be.greaterThan(1.9 * YEAR_MS);
      }
    };
    issuedBy(identityRoot, [first.peer, first.orderer]);
    issuedBy(tlsRoot, [first.gatewayTls, first.caTls, first.chaincodeServerTls, first.chaincodeClientTls]);
    expect(new X509Certificate(first.gatewayTls.certificatePem).subjectAltName).to.equal(
      'DNS:localhost, IP Address:127.0.0.1',
    );
  });

  it('are readable by their owner only', () => {
    const keys = readdirSync(folder).filter((name) => name.endsWith('.key'));
    expect(keys).to.have.length(8);
    expect(new Set(keys.map((name) => statSync(join(folder, name)).mode & 0o777))).to.deep.equal(new Set([0o600]));
    expect(readdirSync(directory)).to.deep.equal(['grid']);
  });

  it('are issued anew before they end, for the same key', async () => {
    const { identityCa, peer } = await ensureMaterial(folder, 'grid', 'GridOperatorMSP');
    const authority = await CertificateAuthority.open(identityCa);
    const publicKeySpki = createPublicKey(peer.privateKeyPem).export({ type: 'spki', format: 'der' });
    const ending = await authority.issue({
      commonName: 'peer.grid',
      organisationalUnits: ['peer'],
      publicKeySpki,
      validityMs: 1000,
    });
    writeFileSync(join(folder, 'peer.crt'), ending.pem);
    const renewed = await ensureMaterial(folder, 'grid', 'GridOperatorMSP');
    expect(renewed.peer.privateKeyPem).to.equal(peer.privateKeyPem);
    expect(endsMs(renewed.peer) - Date.now()).to.be.greaterThan(YEAR_MS);
  });

  it('are not made again when a root key is lost', async () => {
    rmSync(join(folder, 'tls-ca.key'));
    const error = await ensureMaterial(folder, 'grid', 'GridOperatorMSP').catch((reason: unknown) => reason);
    expect(String(error)).to.contain('lacks a root key');
    expect(existsSync(join(folder, 'tls-ca.key'))).to.equal(false);
  });
});
