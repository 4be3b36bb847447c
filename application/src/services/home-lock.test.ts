// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { lockHome } from './home-lock.js';

describe("The lock of a program's folder", () => {
  const directory = temporaryDirectory();
  const home = (name: string): string => join(directory(), name);

  it('is held by one at a time, and free again once it was released', async () => {
    const lock = await lockHome(home('a'));
    expect(await codeOf(lockHome(home('a'), 0))).to.equal('HOME_IN_USE');
    await (await lockHome(home('b'), 0)).release();
    await lock.release();
    await (await lockHome(home('a'), 0)).release();
    expect((await stat(home('a'))).mode & 0o777).to.equal(0o700);
  });

  it('waits for a holder that is ending', async () => {
    const lock = await lockHome(home('c'));
    const next = lockHome(home('c'), 10_000);
    await lock.release();
    await (await next).release();
  });

  it('keeps nobody out after its holder was killed', async () => {
    const module = new URL('home-lock.js', import.meta.url).href;
    const script = `await (await import(${JSON.stringify(module)})).lockHome(${JSON.stringify(home('d'))}); console.log('held'); setInterval(() => 0, 1000);`;
    const holder = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(holder.stdout, 'data');
    expect(await codeOf(lockHome(home('d'), 0))).to.equal('HOME_IN_USE');
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await (await lockHome(home('d'), 0)).release();
  }).timeout(20_000);
});
