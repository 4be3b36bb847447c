// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { poll } from './poll.js';
import { identifyProcess, isAlive, killOrphans } from './process.js';

/** Starts a program in a session of its own and waits for its first line. */
async function start(script: string): Promise<{ child: ChildProcess; line: string }> {
  const child = spawn(process.execPath, ['-e', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, line: chunk.toString().trim() };
}

describe('A process written down', () => {
  it('is alive until it ends, and is not taken for another with its number', async () => {
    const { child } = await start('console.log(1); setInterval(() => {}, 1000)');
    const identity = identifyProcess(child.pid!)!;
    expect(isAlive(identity)).to.equal(true);
    expect(isAlive({ ...identity, startTime: 'another' })).to.equal(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive(identity)).to.equal(false);
  });

  it('is not alive as a zombie', async () => {
    // A shell that becomes a program which never waits: its child stays a zombie.
    const script = `
      const { spawn } = require('node:child_process');
      spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], { stdio: ['ignore', 'inherit', 'ignore'] });`;
    const { child, line } = await start(script);
    try {
      const gone = await poll(() => identifyProcess(Number(line)) === undefined || undefined, 5_000);
      expect(gone).to.equal(true);
      expect(() => process.kill(Number(line), 0)).not.to.throw();
    } finally {
      process.kill(-child.pid!, 'SIGKILL');
    }
  });

  it('leaves nobody behind, and nobody else is ended for it', async () => {
    const script = `
      const child = require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const { child, line } = await start(script);
    const leader = identifyProcess(child.pid!)!;
    const orphan = identifyProcess(Number(line))!;
    child.kill('SIGKILL');
    await once(child, 'exit');
    await killOrphans({ ...leader, startTime: 'another-boot/1' });
    expect(isAlive(orphan)).to.equal(true);
    expect(await killOrphans(leader)).to.equal(true);
    expect(isAlive(orphan)).to.equal(false);
  });
});
