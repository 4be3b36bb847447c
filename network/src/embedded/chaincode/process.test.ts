// SPDX-License-Identifier: Apache-2.0
import { cp, mkdtemp, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { networkConfig, newConsortium, TEST_CHAINCODE } from '../testing/consortium.js';
import { eventually, rejection } from '../testing/harness.js';
import { ChaincodeProcess } from './process.js';

const MODULES = fileURLToPath(new URL('../../../../node_modules', import.meta.url));

describe('A chaincode process', function () {
  this.timeout(60_000);
  let folder: string;
  let chaincode: string;
  let messages: string[];
  let subject: ChaincodeProcess;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chaincode-'));
    chaincode = join(folder, 'testcc');
    await cp(TEST_CHAINCODE.path, chaincode, { recursive: true });
    await symlink(MODULES, join(folder, 'node_modules'));
    const [organisation] = networkConfig(folder, await newConsortium(['AMSP'])).organisations;
    messages = [];
    subject = new ChaincodeProcess(organisation!, { ...TEST_CHAINCODE, path: chaincode }, folder, (_level, message) => {
      messages.push(message);
    });
  });
  afterEach(async () => {
    await subject.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('that cannot be started is reported, and stopping it does not wait', async () => {
    await rm(chaincode, { recursive: true });
    const error = await rejection(subject.start());
    expect(error.message).to.contain('chaincode testcc of AMSP did not start').and.to.contain('ENOENT');
    await subject.stop();
  });

  it('is tried again until it starts', async () => {
    await subject.start();
    const { pid } = subject.status();
    await rename(chaincode, `${chaincode}.away`);
    process.kill(pid!, 'SIGKILL');
    await eventually('two attempts failed', () =>
      messages.filter((message) => message.includes('did not start')).length >= 2 ? true : undefined,
    );
    expect(subject.status().running).to.equal(false);
    await rename(`${chaincode}.away`, chaincode);
    await eventually('it runs', () => (subject.status().running ? true : undefined));
    expect(subject.status().pid).not.to.equal(pid);
  });

  it('that is stopped while it is being started again stays away', async () => {
    await subject.start();
    process.kill(subject.status().pid!, 'SIGKILL');
    await eventually('it ended', () => (subject.status().running ? undefined : true));
    await subject.stop();
    expect(subject.status().running).to.equal(false);
  });
});
