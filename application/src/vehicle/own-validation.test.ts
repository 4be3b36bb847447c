// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Task } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { vehicleIdOf } from '../testing/federation.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { validationDataHash, type ValidationData } from '../validation/validation-data.js';
import { OwnValidation } from './own-validation.js';

const ROWS: ValidationData = {
  features: 'price/cardekho-v1',
  data: { features: 1, rows: 2, x: Float32Array.of(1, 2), y: Float32Array.of(0, 1) },
};
const OTHER: ValidationData = { ...ROWS, data: { ...ROWS.data, y: Float32Array.of(0, 2) } };
/** Errors of 1 and 0: a mean square of a half. */
const PREDICTIONS = Float32Array.of(1, 1);
const TASK = { taskId: 'price-1' };

describe('What a vehicle says of a base model', () => {
  const directory = temporaryDirectory();
  const vehicleId = vehicleIdOf(0);
  let homes = 0;
  let home: string;
  beforeEach(() => {
    homes += 1;
    home = join(directory(), String(homes));
  });
  const own = (data = ROWS, id = vehicleId): OwnValidation => new OwnValidation(home, id, data);

  it('is its loss in millionths, by the same measure as that of validators', async () => {
    expect((await own().say(TASK, PREDICTIONS))?.lossMicro).to.equal(500_000);
  });

  it('names its rows the same after a restart, and in no way that others could try out', async () => {
    const first = await own().say(TASK, PREDICTIONS);
    expect(await own().say(TASK, PREDICTIONS)).to.deep.equal(first);
    expect(first?.dataHash).to.match(/^[0-9a-f]{64}$/);
    expect(first?.dataHash).not.to.equal(validationDataHash(ROWS));
    const another = await own(ROWS, vehicleIdOf(1)).say(TASK, PREDICTIONS);
    expect(another?.dataHash, 'of the same rows in another vehicle').not.to.equal(first?.dataHash);
  });

  it('is nothing once its rows are others, as long as the task goes on', async () => {
    await own().say(TASK, PREDICTIONS);
    expect(await own(OTHER).say(TASK, PREDICTIONS)).to.equal(undefined);
    expect(await own(OTHER).say({ taskId: 'price-2' }, PREDICTIONS)).not.to.equal(undefined);
    expect(await own().say(TASK, PREDICTIONS)).not.to.equal(undefined);
  });

  it('names the same rows otherwise in another task, so that nobody sees that they are the same', async () => {
    const [first, second] = [await own().say(TASK, PREDICTIONS), await own().say({ taskId: 'price-2' }, PREDICTIONS)];
    expect(second?.lossMicro).to.equal(first?.lossMicro);
    expect(second?.dataHash).not.to.equal(first?.dataHash);
  });

  it('is the same of whatever says it at once, in one task and in several', async () => {
    const tasks = Array.from({ length: 24 }, (_, index) => ({ taskId: `price-${String(index % 4)}` }));
    const hashOf = async (task: Pick<Task, 'taskId'>): Promise<string> =>
      `${task.taskId} ${String((await own().say(task, PREDICTIONS))?.dataHash)}`;
    const atOnce = await Promise.all(tasks.map(hashOf));
    expect(new Set(atOnce).size).to.equal(4);
    expect(await Promise.all(tasks.map(hashOf)), 'and later').to.deep.equal(atOnce);
  });

  it('is nothing more in a task in which the ledger refused it', async () => {
    await own().fallSilent(TASK);
    await own().fallSilent(TASK);
    expect(await own().say(TASK, PREDICTIONS)).to.equal(undefined);
    expect(await own().say({ taskId: 'price-2' }, PREDICTIONS)).not.to.equal(undefined);
  });

  it('keeps its key in a file that only its owner reads, and leaves nothing else behind', async () => {
    await own().say(TASK, PREDICTIONS);
    const folder = join(inHome.vehicleData(home), vehicleId);
    expect(await readdir(folder)).to.have.members(['key.json', `${TASK.taskId}.given.json`]);
    for (const name of await readdir(folder)) {
      expect((await stat(join(folder, name))).mode & 0o777).to.equal(0o600);
    }
    for (const directory of [folder, inHome.vehicleData(home)]) {
      expect((await stat(directory)).mode & 0o777).to.equal(0o700);
    }
  });

  it('is not said where what the home holds is not what was kept', async () => {
    await own().say(TASK, PREDICTIONS);
    const path = join(inHome.vehicleData(home), vehicleId, 'key.json');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"key"', '"code"'));
    expect(await codeOf(own().say(TASK, PREDICTIONS))).to.equal('FILE_MALFORMED');
    await rm(path);
    expect(await own().say(TASK, PREDICTIONS), 'with a new key, in a task that knows another').to.equal(undefined);
    expect(await own().say({ taskId: 'price-2' }, PREDICTIONS)).not.to.equal(undefined);
  });
});
