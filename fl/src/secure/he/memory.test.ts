// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom } from '../../random.js';
import { FULL, sourceFrom } from '../testing/setup.js';
import { HeKeyHolder } from './key-holder.js';
import { createHeReport } from './report.js';
import { HeRuntime } from './runtime.js';
import { HeSummer } from './summer.js';
import { newHeRound, openCohort } from './testing/round.js';

const RANGE = { vehicles: 2, maxAbsolute: 2_000 };
/** A ciphertext of 64 KiB left behind in each round would not fit into the 16 MiB that the module starts with. */
const ROUNDS = FULL ? 1_500 : 300;

/** What Node offers of WebAssembly and its type definitions leave out. */
interface WasmApi {
  readonly Memory: abstract new () => WasmMemory;
  instantiate: (module: unknown, imports: unknown) => Promise<{ instance: { exports: object } }>;
}
interface WasmMemory {
  readonly buffer: ArrayBuffer;
}
const wasm = (globalThis as unknown as { WebAssembly: WasmApi }).WebAssembly;

describe('The WebAssembly memory of homomorphic sums', function () {
  this.timeout(FULL ? 900_000 : 180_000);

  let memory: WasmMemory;
  let runtime: HeRuntime;

  before(async () => {
    ({ memory, runtime } = await loadWatched());
  });

  after(() => {
    runtime.close();
  });

  async function playRound(round: number): Promise<void> {
    const random = sourceFrom(newRandom(round));
    const vectors = new Map(['a', 'b'].map((vehicle, index) => [vehicle, [index, round, -round]]));
    const parties = await newHeRound(runtime, { vectors, range: RANGE, random, round });
    expect(openCohort(parties, ['a', 'b'])).to.deep.equal([1, 2 * round, -2 * round]);
    failAtEveryStep(parties.terms.keyHash, parties.keyHolder, parties.reports.get('a')!);
    parties.keyHolder.close();
  }

  /** Refusals must free what they had loaded. */
  function failAtEveryStep(
    keyHash: string,
    keyHolder: HeKeyHolder,
    report: Awaited<ReturnType<typeof createHeReport>>,
  ): void {
    const terms = { keyHash, length: 3, range: RANGE };
    const bad = report.ciphertexts.map((bytes) => bytes.slice().fill(255, 5_001, 5_009));
    expect(() => keyHolder.decrypt(bad)).to.throw();
    const other = new HeKeyHolder(runtime);
    expect(() => other.decrypt(report.ciphertexts)).to.throw(/NOISE_EXHAUSTED/);
    other.close();
    const summer = new HeSummer(runtime, terms, ['a', 'b']);
    summer.add('a', report.root, report);
    expect(() => {
      summer.add('b', report.root, { header: report.header, ciphertexts: bad });
    }).to.throw();
    summer.close();
  }

  it(`does not grow over ${ROUNDS} rounds, refusals included`, async () => {
    for (let round = 1; round <= 3; round++) {
      await playRound(round);
    }
    const settled = memory.buffer.byteLength;
    for (let round = 1; round <= ROUNDS; round++) {
      await playRound(round);
    }
    console.log(`      ${settled / 2 ** 20} MiB of WebAssembly memory`);
    expect(memory.buffer.byteLength).to.equal(settled);
  });

  it('is seen to grow where ciphertexts are not freed', () => {
    const settled = memory.buffer.byteLength;
    const key = runtime.seal.KeyGenerator(runtime.context);
    const encryptor = runtime.seal.Encryptor(runtime.context, key.createPublicKey());
    const leaked = Array.from({ length: ROUNDS }, () => encryptor.encryptZero());
    expect(memory.buffer.byteLength).to.be.greaterThan(settled);
    leaked.forEach((ciphertext) => ciphertext?.delete());
    encryptor.delete();
    key.delete();
  });
});

/** A runtime of its own, and the memory that its module exports. */
async function loadWatched(): Promise<{ memory: WasmMemory; runtime: HeRuntime }> {
  const { instantiate } = wasm;
  let memory: WasmMemory | undefined;
  wasm.instantiate = async (module, imports) => {
    const result = await instantiate(module, imports);
    memory = Object.values(result.instance.exports).find((one): one is WasmMemory => one instanceof wasm.Memory);
    return result;
  };
  try {
    const runtime = await HeRuntime.load();
    return { memory: memory!, runtime };
  } finally {
    wasm.instantiate = instantiate;
  }
}
