// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  parameterCount,
  publicKeyText,
  sha256Hex,
  updateStatement,
  verifyStatement,
  type UpdateStatement,
} from '@sev/chaincode/api';
import { CAR_FEATURES, initialParameters, lossMicro, parametersFromBytes } from '@sev/fl';
import { inHome } from '../config/homes.js';
import type { ConnectionProfile } from '../config/profile.js';
import { openWallet } from '../identity/wallet.js';
import { Federation, vehicleIdOf } from '../testing/federation.js';
import { loadClients, type DataSource } from './data.js';
import type { OpenRoundRef, TrainedUpdate, TrainingOrder } from './messages.js';
import { SevError } from '../errors.js';
import { startPool, type PoolOptions, type VehiclePool } from './pool.js';
import { loadTrainers } from './trainer.js';

const layers = [CAR_FEATURES.width, 8, 1];
const base = new Federation().task;
const task: typeof base = { ...base, model: { ...base.model, layers, parameters: parameterCount(layers) } };
const round: OpenRoundRef = { taskId: task.taskId, round: 1, attempt: 1, baseModelHash: 'a'.repeat(64) };
const parameters = initialParameters(layers, 1);
const order: TrainingOrder = { consortium: sha256Hex('a network'), task, round, parameters };
const generated: DataSource = { source: 'generated', rows: 400, seed: 7 };
const profile: ConnectionProfile = {
  schemaVersion: 1,
  network: { kind: 'embedded', trust: 'single-operator', name: 'test' },
  channel: 'test',
  chaincode: 'sev',
  genesisHash: '',
  organisations: [],
};

describe('A pool of vehicles', () => {
  const vehicles = [0, 1, 2].map((client) => ({ vehicleId: vehicleIdOf(client), client }));
  const keys = new Map<string, KeyObject>();
  let home: string;
  const pools: VehiclePool[] = [];

  async function start(options: Partial<PoolOptions> = {}): Promise<VehiclePool> {
    const plan = { data: generated, split: 'iid', clients: 4 };
    const pool = await startPool({ home, profile, vehicles, plan, workers: 2, ...options });
    pools.push(pool);
    return pool;
  }

  async function trainAll(
    pool: VehiclePool,
    ids = vehicles.map(({ vehicleId }) => vehicleId),
    given = order,
  ): Promise<TrainedUpdate[]> {
    const updates: TrainedUpdate[] = [];
    const listener = {
      onUpdate: (update: TrainedUpdate) => updates.push(update),
      onSkipped: (vehicleId: string, { message }: { message: string }) => {
        throw new Error(`${vehicleId}: ${message}`);
      },
    };
    await pool.train(given, ids, listener, new AbortController().signal);
    return updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  }

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'sev-pool-'));
    const wallet = await openWallet(inHome.wallet(home));
    for (const { vehicleId } of vehicles) {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      keys.set(vehicleId, createPublicKey(privateKey));
      const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      await wallet.put({ label: vehicleId, mspId: 'CityMSP', certificate: 'not looked at', privateKey: pem });
    }
  });

  it('trains the same without worker threads, and stops between vehicles when it is told to', async () => {
    const inline = await start({ lowMemory: true });
    const bytesOf = (updates: readonly TrainedUpdate[]): string[] =>
      updates.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    expect(bytesOf(await trainAll(inline))).to.deep.equal(bytesOf(await trainAll(await start())));
    const ending = new AbortController();
    const trained: string[] = [];
    const listener = {
      onUpdate: ({ vehicleId }: TrainedUpdate) => {
        trained.push(vehicleId);
        ending.abort();
      },
      onSkipped: () => undefined,
    };
    const ids = vehicles.map(({ vehicleId }) => vehicleId);
    await inline.train(order, ids, listener, ending.signal);
    expect(trained).to.have.length(1);
  });

  afterEach(async () => {
    await Promise.all(pools.splice(0).map((pool) => pool.close()));
  });

  after(async () => {
    await rm(home, { recursive: true, force: true });
  });

  it('trains every vehicle once and signs for its update with its own key', async () => {
    const updates = await trainAll(await start());
    expect(updates.map(({ vehicleId }) => vehicleId)).to.deep.equal([...keys.keys()].sort());
    for (const { vehicleId, bytes, envelope } of updates) {
      const { updateHash, weightClass, signature } = envelope;
      expect(updateHash).to.equal(sha256Hex(bytes));
      expect(bytes).to.have.length(4 * task.model.parameters);
      const content = { ...round, vehicleId, updateHash, weightClass };
      const statement: UpdateStatement = { type: 'sev/update/v1', consortium: order.consortium, ...content };
      expect(verifyStatement(statement, signature, keys.get(vehicleId)!)).to.equal(true);
      const elsewhere = { ...statement, consortium: sha256Hex('another network') };
      expect(verifyStatement(elsewhere, signature, keys.get(vehicleId)!)).to.equal(false);
    }
    expect(new Set(updates.map(({ envelope }) => envelope.updateHash)).size).to.equal(vehicles.length);
  });

  it('gives the same update for the same vehicle and round, whatever the number of workers', async () => {
    const hashes = async (workers: number): Promise<string[]> =>
      (await trainAll(await start({ workers }))).map(({ envelope }) => envelope.updateHash);
    expect(await hashes(1)).to.deep.equal(await hashes(3));
  });

  it('tells how many rows each vehicle has', async () => {
    const pool = await start();
    expect(pool.vehicles).to.have.length(3);
    expect(pool.vehicles.every(({ samples }) => samples > 0)).to.equal(true);
  });

  it('trains only those asked for, and none after the round is over', async () => {
    const pool = await start();
    expect(await trainAll(pool, [vehicleIdOf(1)])).to.have.length(1);
    let updates = 0;
    const listener = { onUpdate: () => updates++, onSkipped: () => undefined };
    const ids = vehicles.map(({ vehicleId }) => vehicleId);
    await pool.train(order, ids, listener, AbortSignal.abort());
    expect(updates).to.be.lessThan(3);
  });

  it('reports a vehicle that cannot train and goes on with the others', async () => {
    const pool = await start();
    const skipped: string[] = [];
    const listener = {
      onUpdate: () => undefined,
      onSkipped: (_id: string, { code }: { code: string }) => skipped.push(code),
    };
    const hungry: typeof task = {
      ...task,
      aggregation: { ...task.aggregation, weightClasses: [{ minSamples: 10_000, weight: 1 }] },
    };
    const ids = vehicles.map(({ vehicleId }) => vehicleId);
    await pool.train({ ...order, task: hungry }, ids, listener, new AbortController().signal);
    expect(skipped).to.deep.equal(['SAMPLES_TOO_FEW', 'SAMPLES_TOO_FEW', 'SAMPLES_TOO_FEW']);
  });

  it('has a vehicle that is told to attack send what the simulator says, and no other', async () => {
    const attack = { name: 'sign-flip', seed: 1, clients: [1] };
    const [honest, hostile] = [await trainAll(await start()), await trainAll(await start({ attack }))];
    const change = ({ bytes }: TrainedUpdate): Float32Array =>
      parametersFromBytes(bytes, parameters.length).map((value, index) => value - parameters[index]!);
    for (const [index, update] of hostile.entries()) {
      const was = honest[index]!;
      if (update.vehicleId === vehicleIdOf(1)) {
        const expected = change(was);
        change(update).forEach((value, at) => {
          expect(value).to.be.closeTo(-10 * expected[at]!, 1e-4);
        });
      } else {
        expect(update.bytes).to.deep.equal(was.bytes);
      }
    }
  });

  describe('in a round that draws vehicles', () => {
    const validators = ['CityMSP', 'GridMSP', 'MakerMSP'];
    const validation = { validators, pastRounds: 0, quarantineMilli: 1, vehicles: 3 };
    const { task: secret } = new Federation({ secure: { validation } });
    const aggregators = secret.secure!.aggregators.map((mspId) => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return { mspId, sealingKey: publicKeyText(publicKey), nonceLeaves: [] };
    });
    const asking = (drawn: readonly string[]): TrainingOrder => ({
      ...order,
      task: { ...secret, model: task.model },
      round: { ...round, opening: { aggregators }, drawn },
    });
    const ALL = vehicles.map(({ vehicleId }) => vehicleId);
    const DRAWN = [vehicleIdOf(0), vehicleIdOf(2)];
    const saidBy = (updates: readonly TrainedUpdate[]): string[] =>
      updates.filter(({ envelope }) => envelope.validation !== undefined).map(({ vehicleId }) => vehicleId);

    it('has those say the loss of the base on their own rows, signed with their updates', async () => {
      const updates = await trainAll(await start(), ALL, asking(DRAWN));
      expect(saidBy(updates)).to.have.members(DRAWN);
      for (const { vehicleId, envelope } of updates) {
        const { signature, ...said } = envelope;
        const statement = updateStatement(order.consortium, { ...round, ...said });
        expect(verifyStatement(statement, signature, keys.get(vehicleId)!)).to.equal(true);
      }
      const { data } = await loadClients({ data: generated, split: 'iid', clients: 4 }, [0]);
      const own = updates.find(({ vehicleId }) => vehicleId === vehicleIdOf(0))!;
      expect(own.envelope.validation?.lossMicro).to.equal(lossMicro(parameters, layers, data[0]!));
    });

    it('has them name the same rows in every round', async () => {
      const hashes = async (): Promise<(string | undefined)[]> =>
        (await trainAll(await start(), ALL, asking(DRAWN))).map(({ envelope }) => envelope.validation?.dataHash);
      expect(await hashes()).to.deep.equal(await hashes());
    });

    it('has them sign for the same update without their word, too, for a ledger that refuses it', async () => {
      for (const { vehicleId, envelope, silent } of await trainAll(await start(), ALL, asking(DRAWN))) {
        expect(silent !== undefined, vehicleId).to.equal(DRAWN.includes(vehicleId));
        if (silent !== undefined) {
          const { signature, ...said } = silent;
          const statement = updateStatement(order.consortium, { ...round, ...said });
          expect(verifyStatement(statement, signature, keys.get(vehicleId)!)).to.equal(true);
          const { validation: _word, signature: _other, ...same } = envelope;
          expect(said).to.deep.equal(same);
        }
      }
    });

    it('has one take part that cannot say anything for a home that is damaged', async () => {
      const folder = join(inHome.vehicleData(home), DRAWN[0]!);
      await rm(folder, { recursive: true, force: true });
      await writeFile(folder, 'no folder');
      try {
        const updates = await trainAll(await start(), ALL, asking(DRAWN));
        expect(updates).to.have.length(3);
        expect(saidBy(updates)).to.deep.equal([DRAWN[1]]);
        const unsaid = updates.filter((update) => update.unsaid !== undefined);
        expect(unsaid.map(({ vehicleId }) => vehicleId)).to.deep.equal([DRAWN[0]]);
        expect(unsaid[0]?.unsaid?.message).to.contain('vehicle-data');
      } finally {
        await rm(folder);
      }
    });

    it('has nobody say anything once the ledger has refused it, and of a list that the task cannot have', async () => {
      const [vehicleId = ''] = DRAWN;
      const more = [...ALL, vehicleIdOf(7)];
      expect(saidBy(await trainAll(await start(), ALL, asking(more))), 'more than the task draws').to.deep.equal([]);
      const asked = asking(DRAWN);
      const { validation: _none, ...unjudged } = asked.task.secure!;
      const without = { ...asked, task: { ...asked.task, secure: unjudged } };
      expect(saidBy(await trainAll(await start(), ALL, without)), 'a task that draws nobody').to.deep.equal([]);
      const trainers = await loadTrainers({
        ...{ home, profile, vehicles, plan: { data: generated, split: 'iid', clients: 4 } },
      });
      const trainer = trainers.get(vehicleId)!;
      const { envelope } = await trainer.train(asked);
      expect(envelope).to.have.property('validation');
      await trainer.heed({ taskId: task.taskId, envelope }, new SevError('UPDATE_DUPLICATE', ''));
      expect((await trainer.train(asked)).envelope).to.have.property('validation');
      await trainer.heed({ taskId: task.taskId, envelope }, new SevError('VALIDATION_DATA_CHANGED', ''));
      expect((await trainer.train(asked)).envelope).not.to.have.property('validation');
      await rm(join(inHome.vehicleData(home), vehicleId), { recursive: true });
    });

    it('has nobody say anything who is not to, and all take part', async () => {
      const updates = await trainAll(await start({ validates: false }), ALL, asking(DRAWN));
      expect(updates).to.have.length(3);
      expect(saidBy(updates)).to.deep.equal([]);
      expect(saidBy(await trainAll(await start(), ALL, asking([])))).to.deep.equal([]);
      const noisy = asking(DRAWN);
      const inDp = { ...noisy, task: { ...noisy.task, privacy: 'dp' as const } };
      expect(saidBy(await trainAll(await start(), ALL, inDp)), 'whatever asks in mode dp').to.deep.equal([]);
    });
  });

  it('says what is wrong with the data', async () => {
    const path = join(home, 'with a space.csv');
    const codeWith = async (data: DataSource, clients = 4): Promise<unknown> =>
      start({ plan: { data, split: 'iid', clients } }).catch((e: unknown) => (e as { code: string }).code);
    expect(await codeWith({ source: 'file', path })).to.equal('DATA_FILE_MISSING');
    await writeFile(path, 'name,year\nMaruti,2010\n');
    expect(await codeWith({ source: 'file', path })).to.equal('DATA_COLUMN_MISSING');
    expect(await codeWith({ source: 'generated', rows: 40, seed: 1 }, 400)).to.equal('DATA_TOO_FEW_ROWS');
  });

  it('says which identity is missing', async () => {
    const error = await start({ vehicles: [{ vehicleId: vehicleIdOf(9), client: 0 }] }).catch((e: unknown) => e);
    expect(error).to.have.property('code', 'IDENTITY_MISSING');
  });
});
