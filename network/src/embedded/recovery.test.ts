// SPDX-License-Identifier: Apache-2.0
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import type { GatewayError } from '@hyperledger/fabric-gateway';
import { expect } from 'chai';
import { LedgerError } from './ledger/errors.js';
import { Ledger } from './ledger/ledger.js';
import { startEmbeddedNetwork } from './network.js';
import { decodeVarint } from './protocol/varint.js';
import type { ChildReady } from './testing/child.js';
import { connectClient } from './testing/client.js';
import { EXIT_CODE_OF_FAILURE, networkConfig, newConsortium, type OrganisationMaterial } from './testing/consortium.js';
import { eventually, NetworkHarness, rejection } from './testing/harness.js';

const decode = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const CHILD = fileURLToPath(new URL('./testing/child.js', import.meta.url));
const BLOCK_FILE = join('blocks', 'blockfile_000000');

/** SEV_TEST_FULL=1 kills more often; SEV_TEST_SEED=n repeats a run's choices. */
const KILLS = process.env['SEV_TEST_FULL'] === '1' ? 50 : 3;
const SEED = Number(process.env['SEV_TEST_SEED'] ?? Date.now() % 1_000_000);

/** Numbers in [0, 1) that depend on a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('After a network ends under load', function () {
  this.timeout(KILLS * 60_000);
  let folder: string;
  let consortium: OrganisationMaterial[];
  let child: ChildProcess | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'embedded-kill-'));
    consortium = await newConsortium(['AMSP', 'BMSP', 'CMSP']);
    await writeFile(join(folder, 'material.json'), JSON.stringify(consortium), { mode: 0o600 });
  });

  afterEach(async () => {
    child?.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  /** Starts the network in a process of its own, in which no file grows beyond so many blocks of the shell. */
  const startChild = async (fileSizeLimit = 'unlimited'): Promise<ChildReady> => {
    const command = [process.execPath, CHILD, join(folder, 'data'), join(folder, 'material.json')];
    child = spawn('sh', ['-c', `ulimit -f ${fileSizeLimit}; exec "$@"`, 'sh', ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
    return JSON.parse(line) as ChildReady;
  };

  /**
   * Submits puts, every other one private, until one fails in each of a few workers.
   * @returns their errors
   */
  const load = async (
    { ports }: ChildReady,
    valueOf: (key: string) => string,
    onConfirmed: (key: string) => void,
  ): Promise<GatewayError[]> => {
    const client = connectClient(consortium[0]!, new Map(ports).get('AMSP')!);
    const run = String(Math.trunc(Date.now()));
    let next = 0;
    const worker = async (): Promise<GatewayError> => {
      for (;;) {
        const number = (next += 1);
        const key = `kill-${run}-${String(number)}`;
        try {
          await (number % 2 === 0
            ? client.contract.submitTransaction('put', key, valueOf(key))
            : client.contract.submitTransaction('putPrivateArgument', 'pair', key, valueOf(key)));
        } catch (error) {
          return error as GatewayError;
        }
        onConfirmed(key);
      }
    };
    const errors = await Promise.all(Array.from({ length: 8 }, worker));
    client.close();
    return errors;
  };

  /** What was confirmed is there, and the network goes on. */
  const expectAll = async (confirmed: readonly string[]): Promise<void> => {
    const network = await startEmbeddedNetwork(networkConfig(join(folder, 'data'), consortium));
    const client = connectClient(consortium[1]!, network.gatewayPorts.get('BMSP')!);
    try {
      const open = decode(await client.contract.evaluateTransaction('range', 'kill-', 'kill.'));
      const hidden = decode(await client.contract.evaluateTransaction('privateRange', 'pair', 'kill-', 'kill.'));
      expect(confirmed.length).to.be.greaterThan(10);
      expect([...(JSON.parse(open) as string[]), ...(JSON.parse(hidden) as string[])]).to.include.members(confirmed);
      const last = confirmed.filter((key) => hidden.includes(`"${key}"`)).at(-1)!;
      expect(decode(await client.contract.evaluateTransaction('getPrivate', 'pair', last))).to.contain(last);
      expect(decode(await client.contract.submitTransaction('put', 'after', 'x'))).to.equal('x');
    } finally {
      client.close();
      await network.close();
    }
  };

  it(`by kill -9, ${String(KILLS)} times, nothing confirmed is lost, and no chaincode process is left (seed ${String(SEED)})`, async () => {
    const random = randomFrom(SEED);
    const confirmed: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const ready = await startChild();
      const killAfter = confirmed.length + 1 + Math.floor(random() * 60);
      const delayMs = random() * 20;
      await load(ready, String, (key) => {
        confirmed.push(key);
        if (confirmed.length === killAfter) {
          setTimeout(() => child!.kill('SIGKILL'), delayMs);
        }
      });
      await eventually('the chaincode processes have ended', async () => {
        const running = await Promise.all(ready.chaincodePids.map((pid) => isRunning(pid!)));
        return running.includes(true) ? undefined : true;
      });
    }
    await expectAll(confirmed);
  });

  it('because the disk takes no more, clients are told so, and nothing confirmed is lost', async () => {
    const confirmed: string[] = [];
    const ready = await startChild('4096');
    const ended = once(child!, 'exit');
    const errors = await load(
      ready,
      (key) => key.padEnd(20_000, '.'),
      (key) => {
        confirmed.push(key);
      },
    );
    expect(new Set(errors.map(({ code }) => code))).to.deep.equal(new Set([status.UNAVAILABLE]));
    expect(await ended).to.deep.equal([EXIT_CODE_OF_FAILURE, null]);
    await expectAll(confirmed);
  });

  it('not even a contract that never yields outlives it', async () => {
    const { ports, chaincodePids } = await startChild();
    const client = connectClient(consortium[0]!, new Map(ports).get('AMSP')!);
    const spinning = client.contract.evaluateTransaction('spin').catch(() => undefined);
    await eventually('the contract spins', async () => ((await cpuTicks(chaincodePids[0]!)) > 150 ? true : undefined));
    child!.kill('SIGKILL');
    await spinning;
    client.close();
    await eventually('the chaincode process has ended', async () =>
      (await isRunning(chaincodePids[0]!)) ? undefined : true,
    );
  });
});

describe('The ledger on disk', function () {
  this.timeout(60_000);
  const harness = new NetworkHarness();
  before(() => harness.start());
  after(() => harness.remove());
  const blockFile = (): string => join(harness.dataDir, BLOCK_FILE);
  const put = (key: string): Promise<Uint8Array> => harness.client().contract.submitTransaction('put', key, key);
  const get = async (key: string): Promise<string> =>
    decode(await harness.client().contract.evaluateTransaction('get', key));

  it('is the same after a restart', async () => {
    await put('kept');
    const { genesisHash } = harness.network;
    const height = harness.network.height();
    await harness.stop();
    await harness.start();
    expect(harness.network.genesisHash).to.equal(genesisHash);
    expect(harness.network.height()).to.equal(height);
    expect(await get('kept')).to.equal('kept');
  });

  it('drops a block that was not written to its end', async () => {
    await put('whole');
    const height = harness.network.height();
    const { size } = await stat(blockFile());
    await harness.stop();
    await appendFile(blockFile(), Buffer.concat([Buffer.from([0xff, 0x7f]), Buffer.alloc(300, 1)]));
    await harness.start();
    expect(harness.network.height()).to.equal(height);
    expect((await stat(blockFile())).size).to.equal(size);
    expect(await get('whole')).to.equal('whole');
    await put('onwards');
    expect(await get('onwards')).to.equal('onwards');
  });

  it('applies blocks that the state does not have yet: all of them, if need be', async () => {
    await put('replayed');
    const height = harness.network.height();
    const history = await harness.client().contract.evaluateTransaction('history', 'replayed');
    await harness.stop();
    await rm(join(harness.dataDir, 'state'), { recursive: true });
    await harness.start();
    expect(harness.network.height()).to.equal(height);
    expect(await get('replayed')).to.equal('replayed');
    const again = await harness.client().contract.evaluateTransaction('history', 'replayed');
    expect(decode(again)).to.equal(decode(history));
  });

  it('names the block in which a byte has changed', async () => {
    const number = harness.network.height();
    const { size } = await stat(blockFile());
    await put('flipped');
    await put('later');
    await flipByte(blockFile(), size + 40);
    const events = await harness.client().network.getBlockEvents({ startBlock: 0n });
    let seen = 0;
    const reading = (async () => {
      for await (const _block of events) {
        seen += 1;
      }
    })();
    const error = await rejection<GatewayError>(reading);
    expect(error.code).to.equal(status.DATA_LOSS);
    expect(error.message).to.contain(`block ${String(number)} is not what was committed`);
    expect(seen).to.equal(number);
    await flipByte(blockFile(), size + 40);
  });

  it('is not rebuilt from a block file in which a byte has changed', async () => {
    await harness.stop();
    await rm(join(harness.dataDir, 'state'), { recursive: true });
    const content = await readFile(blockFile());
    const position = content.indexOf('replayed');
    await flipByte(blockFile(), position);
    const error = await rejection<LedgerError>(Ledger.open(harness.dataDir, () => undefined));
    expect(error.code).to.equal('DATA_LOSS');
    expect(error.message).to.match(/block \d+ holds other transactions than its header says/);
    await flipByte(blockFile(), position);
    await harness.start();
    expect(await get('later')).to.equal('later');
  });

  it('keeps the blocks that it cannot tell apart when it is rebuilt', async () => {
    await harness.stop();
    await rm(join(harness.dataDir, 'state'), { recursive: true });
    const content = await readFile(blockFile());
    const genesis = decodeVarint(content, 0)!;
    const damaged = Buffer.from(content);
    damaged.set([0xff, 0xff, 0xff, 0x7f], genesis.length + genesis.value);
    await writeFile(blockFile(), damaged);
    const error = await rejection<LedgerError>(Ledger.open(harness.dataDir, () => undefined));
    expect(error.message).to.contain('DATA_LOSS: what follows block 0 in the block files cannot be read');
    expect((await stat(blockFile())).size).to.equal(content.length);
    await writeFile(blockFile(), content);
    await harness.start();
    expect(await get('later')).to.equal('later');
  });

  it('is not taken for another network’s', async () => {
    await harness.stop();
    const strangers = await newConsortium(['AMSP', 'BMSP', 'CMSP']);
    const starting = startEmbeddedNetwork(networkConfig(harness.dataDir, strangers));
    expect(await rejection<LedgerError>(starting)).to.have.property('code', 'STATE_FOREIGN');
    await harness.start();
  });

  it('does not start, and appends nothing, where a committed block was cut off by hand', async () => {
    const last = harness.network.height() - 1;
    await harness.stop();
    const content = await readFile(blockFile());
    const genesis = decodeVarint(content, 0)!;
    for (const [size, first] of [
      [content.length - 10, last],
      [genesis.length + genesis.value, 1],
      [0, 0],
    ] as const) {
      await truncate(blockFile(), size);
      const error = await rejection<LedgerError>(harness.start());
      expect(error.code).to.equal('DATA_LOSS');
      expect(error.message).to.contain(`block ${String(first)} was committed and is no longer whole`);
      expect((await stat(blockFile())).size).to.equal(size);
      await writeFile(blockFile(), content);
    }
    await rm(blockFile());
    expect(await rejection<LedgerError>(harness.start())).to.have.property('code', 'DATA_LOSS');
    await writeFile(blockFile(), content, { mode: 0o600 });
    await harness.start();
    expect(await get('later')).to.equal('later');
  });
});

async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, position);
    byte.writeUInt8(byte.readUInt8(0) ^ 1, 0);
    await file.write(byte, 0, 1, position);
  } finally {
    await file.close();
  }
}

/** A process that has ended but was not yet waited for does not run. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const state = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
  return !/\) Z /.test(state);
}

/** Processor time of a process in ticks, where the system tells; otherwise many. */
async function cpuTicks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? Infinity : Number(stat.split(') ')[1]?.split(' ')[11] ?? 0);
}
