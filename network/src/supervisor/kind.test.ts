// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import { chooseNetwork } from './kind.js';

describe('The choice of a network', () => {
  it('falls on the embedded one where programs of Fabric are absent, and names them', () => {
    const choice = chooseNetwork('auto', '/nowhere');
    expect(choice.kind).to.equal('embedded');
    expect(choice.reason).to.contain('peer, orderer, fabric-ca-server');
  });

  it('falls on the embedded one also where they are present, and says why', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sev-path-'));
    try {
      for (const program of ['peer', 'orderer', 'fabric-ca-server']) {
        writeFileSync(join(directory, program), '', { mode: 0o755 });
      }
      expect(chooseNetwork('auto', directory).reason).to.contain('does not run them yet');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('refuses native Fabric, and words that are no kind', () => {
    const codeOf = (asked: string): unknown => {
      try {
        return chooseNetwork(asked);
      } catch (error) {
        return error instanceof NetworkError ? error.code : error;
      }
    };
    expect(codeOf('fabric')).to.equal('FABRIC_NOT_SUPPORTED');
    expect(codeOf('docker')).to.equal('NETWORK_KIND_INVALID');
  });
});
