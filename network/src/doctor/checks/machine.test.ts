// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { diskResult, hostsResult, isOlder, memoryResult, nodeVersion } from './machine.js';
import type { CheckResult } from '../finding.js';

const GIBI = 1024 ** 3;
const codesOf = ({ problems = [] }: CheckResult): string[] => problems.map(({ code }) => code);

describe('What doctor says of the machine', () => {
  it('compares versions by their parts, not by their letters', () => {
    expect(isOlder('20.9.0', '20.19')).to.equal(true);
    expect(isOlder('20.19.0', '20.19')).to.equal(false);
    expect(isOlder('22.1.0', '20.19')).to.equal(false);
    expect(codesOf(nodeVersion('18.20.0', '20.19'))).to.deep.equal(['NODE_VERSION']);
    expect(codesOf(nodeVersion(process.versions.node, '20.19'))).to.deep.equal([]);
  });

  it('warns of little disk space, and calls hardly any an error', () => {
    const inodes = { left: 1_000_000, total: 2_000_000 };
    expect(codesOf(diskResult('/srv', 20 * GIBI, inodes))).to.deep.equal([]);
    expect(codesOf(diskResult('/srv', 2 * GIBI, inodes))).to.deep.equal(['DISK_LOW']);
    expect(codesOf(diskResult('/srv', GIBI / 4, inodes))).to.deep.equal(['DISK_FULL']);
  });

  it('counts the files that can still be made, where a file system has such a limit', () => {
    expect(codesOf(diskResult('/srv', 20 * GIBI, { left: 12, total: 2_000_000 }))).to.deep.equal(['INODES_LOW']);
    expect(codesOf(diskResult('/srv', 20 * GIBI, { left: 0, total: 0 }))).to.deep.equal([]);
  });

  it('compares memory with what the network takes', () => {
    expect(codesOf(memoryResult(2 * GIBI, GIBI))).to.deep.equal([]);
    expect(codesOf(memoryResult(GIBI / 2, GIBI))).to.deep.equal(['MEMORY_LOW']);
  });

  const resolving = (table: Record<string, string[]>) => (host: string) =>
    table[host] === undefined
      ? Promise.reject(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }))
      : Promise.resolve(table[host].map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));

  it('is content with a localhost of both families, whatever their order', async () => {
    const resolve = resolving({ localhost: ['::1', '127.0.0.1'], 'peer.example': ['192.0.2.1'] });
    expect(codesOf(await hostsResult(['localhost', 'peer.example', '192.0.2.7'], resolve))).to.deep.equal([]);
  });

  it('names a localhost that is IPv6 only, or elsewhere, and hosts without an address', async () => {
    expect(codesOf(await hostsResult([], resolving({ localhost: ['::1'] })))).to.deep.equal(['LOCALHOST_IPV6_ONLY']);
    expect(codesOf(await hostsResult([], resolving({ localhost: ['192.0.2.1', '127.0.0.1'] })))).to.deep.equal([
      'LOCALHOST_FOREIGN',
    ]);
    const { problems } = await hostsResult(['peer.example'], resolving({ localhost: ['127.0.0.1'] }));
    expect(problems).to.have.length(1);
    expect(problems![0]).to.include({ code: 'HOST_UNRESOLVED' });
    expect(problems![0]!.found).to.include('peer.example');
  });
});
