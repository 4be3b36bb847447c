// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { poll } from '../supervisor/poll.js';
import { describeProcess, Proc } from './proc.js';

describe('What /proc tells', () => {
  const root = mkdtempSync(join(tmpdir(), 'sev-proc-'));
  after(() => {
    rmSync(root, { recursive: true, force: true });
  });

  before(() => {
    mkdirSync(join(root, 'net'));
    mkdirSync(join(root, '42', 'fd'), { recursive: true });
    const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
    const row = (address: string, state: string, inode: string): string =>
      `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0\n`;
    writeFileSync(
      join(root, 'net', 'tcp'),
      head + row('0100007F:1B8B', '0A', '1001') + row('0100007F:1B8B', '01', '1002') + row('00000000:0016', '0A', '7'),
    );
    writeFileSync(
      join(root, 'net', 'tcp6'),
      head + row('00000000000000000000000001000000:1B8C', '0A', '1003') + row(`${'0'.repeat(32)}:1B8D`, '0A', '1004'),
    );
    writeFileSync(join(root, '42', 'stat'), '42 (odd) name) S 1 40 40 0');
    writeFileSync(join(root, '42', 'cmdline'), 'node\0server.js\0');
    writeFileSync(
      join(root, '42', 'limits'),
      'Limit  Soft  Hard  Units\nMax open files            1024   4096   files\n',
    );
    symlinkSync('socket:[1001]', join(root, '42', 'fd', '3'));
    symlinkSync('/usr/bin/peer (deleted)', join(root, '42', 'exe'));
  });

  it('lists listeners, and no connections, with their addresses', () => {
    const listeners = new Proc(root).listeners().map(({ port, address }) => `${address}:${port.toString()}`);
    expect(listeners).to.deep.equal(['127.0.0.1:7051', '0.0.0.0:22', '::1:7052', ':::7053']);
  });

  it("names a listener's process, and has nothing to say of another user's", () => {
    const proc = new Proc(root);
    const [own, other] = proc.listeners();
    expect(proc.ownerOf(own!)).to.deep.equal({ pid: 42, group: 40, state: 'S', command: ['node', 'server.js'] });
    expect(describeProcess(proc.ownerOf(own!)!)).to.equal('process 42 (node server.js)');
    expect(proc.ownerOf(other!)).to.equal(undefined);
  });

  it('tells limits, and programs that were replaced', () => {
    const proc = new Proc(root);
    expect(proc.files(42)).to.deep.equal({ limit: 1024, open: 1 });
    expect(proc.runsReplacedProgram(42)).to.equal(true);
    expect(proc.files(43)).to.equal(undefined);
  });

  it('has nothing to tell where there is no /proc', () => {
    const none = new Proc(join(root, 'nowhere'));
    expect([none.exists, none.processes(), none.listeners(), none.files('self')]).to.deep.equal([
      false,
      [],
      [],
      undefined,
    ]);
  });

  it('sees real listeners and stopped processes', async function () {
    const proc = new Proc();
    if (!existsSync('/proc/net/tcp')) {
      this.skip();
    }
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const listener = proc.listeners().find((each) => each.port === port);
    expect(proc.ownerOf(listener!)?.pid).to.equal(process.pid);
    server.close();
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      child.kill('SIGSTOP');
      expect(await poll(() => proc.process(child.pid!)?.state === 'T' || undefined, 10_000)).to.equal(true);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
