// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import fc from 'fast-check';
import type { Envelope, ItemResult } from '@sev/chaincode/api';
import { SevError } from '../errors.js';
import { until, vehicleIdOf } from '../testing/federation.js';
import { EnvelopeBatcher, type EnvelopeBatcherOptions } from './envelope-batcher.js';

function envelopeOf(index: number): Envelope {
  return { vehicleId: vehicleIdOf(index), updateHash: '0'.repeat(64), weightClass: 0, signature: 'A'.repeat(86) };
}

function acceptAll(envelopes: readonly Envelope[]): ItemResult[] {
  return envelopes.map(({ vehicleId }) => ({ id: vehicleId, accepted: true }));
}

/** A batcher whose batches are kept; it never flushes by time unless asked to. */
function newBatcher(options: Partial<EnvelopeBatcherOptions> = {}): { batcher: EnvelopeBatcher; batches: string[][] } {
  const batches: string[][] = [];
  const batcher = new EnvelopeBatcher({
    record: (envelopes) => {
      batches.push(envelopes.map((envelope) => envelope.vehicleId));
      return Promise.resolve(acceptAll(envelopes));
    },
    missing: () => 1_000,
    maxBatch: 100,
    lingerMs: 60_000,
    maxHoldMs: 60_000,
    hurryMs: () => Infinity,
    ...options,
  });
  return { batcher, batches };
}

describe('EnvelopeBatcher', () => {
  it('sends a batch when it is full', async () => {
    const { batcher, batches } = newBatcher({ maxBatch: 3 });
    await Promise.all([0, 1, 2].map((i) => batcher.add(envelopeOf(i))));
    expect(batches.map((batch) => batch.length)).to.deep.equal([3]);
  });

  it('sends a batch when it completes the cohort', async () => {
    const { batcher, batches } = newBatcher({ missing: () => 2 });
    await Promise.all([0, 1].map((i) => batcher.add(envelopeOf(i))));
    expect(batches).to.have.length(1);
  });

  it('sends what there is when nothing more comes', async () => {
    const { batcher, batches } = newBatcher({ lingerMs: 5 });
    await Promise.all([0, 1].map((i) => batcher.add(envelopeOf(i))));
    expect(batches).to.have.length(1);
  });

  it('holds a batch no longer than allowed, though envelopes keep coming', async () => {
    const { batcher, batches } = newBatcher({ maxHoldMs: 15 });
    const results: Promise<ItemResult>[] = [];
    for (let i = 0; batches.length === 0 && i < 1_000; i++) {
      results.push(batcher.add(envelopeOf(i)));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(batches).to.have.length(1);
    expect(batcher.waiting).to.be.lessThan(2);
    batcher.close(new SevError('ROUND_STALE', 'over'));
    await Promise.allSettled(results);
  });

  it('counts what is on its way to the ledger when it looks whether the cohort is complete', async () => {
    let commit = (): void => undefined;
    const batches: number[] = [];
    const { batcher } = newBatcher({
      maxBatch: 2,
      missing: () => 3,
      record: async (envelopes) => {
        batches.push(envelopes.length);
        if (batches.length === 1) {
          await new Promise<void>((resolve) => (commit = resolve));
        }
        return acceptAll(envelopes);
      },
    });
    const first = [0, 1].map((i) => batcher.add(envelopeOf(i)));
    await batcher.add(envelopeOf(2));
    expect(batches).to.deep.equal([2, 1]);
    commit();
    await Promise.all(first);
    expect(batcher.waiting).to.equal(0);
  });

  it('gives every envelope its own result, with ceil(n / batch) transactions for n envelopes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 20 }), async (count, maxBatch) => {
        let recorded = 0;
        const { batcher, batches } = newBatcher({
          maxBatch,
          missing: () => count - recorded,
          record: (envelopes) => {
            batches.push(envelopes.map((envelope) => envelope.vehicleId));
            return Promise.resolve(acceptAll(envelopes));
          },
        });
        const add = async (i: number): Promise<ItemResult> => {
          const result = await batcher.add(envelopeOf(i));
          recorded++;
          return result;
        };
        const results = await Promise.all(Array.from({ length: count }, (_, i) => add(i)));
        expect(results.map((result) => result.id)).to.deep.equal(results.map((_, i) => vehicleIdOf(i)));
        expect(batches).to.have.length(Math.ceil(count / maxBatch));
        expect(new Set(batches.flat()).size).to.equal(count);
      }),
    );
  });

  it('passes the failure of a batch to each of its envelopes and to no other', async () => {
    let calls = 0;
    const { batcher } = newBatcher({
      maxBatch: 2,
      record: (envelopes) =>
        calls++ === 0
          ? Promise.reject(new SevError('LEDGER_UNREACHABLE', 'down'))
          : Promise.resolve(acceptAll(envelopes)),
    });
    const outcomes = await Promise.allSettled([0, 1, 2, 3].map((i) => batcher.add(envelopeOf(i))));
    expect(outcomes.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected', 'fulfilled', 'fulfilled']);
  });

  it('holds a batch no longer than the time left allows', async () => {
    const { batcher, batches } = newBatcher({ hurryMs: () => 5 });
    await batcher.add(envelopeOf(0));
    expect(batches).to.have.length(1);
  });

  it('sends what it holds when it hears that others have brought what was missing', async () => {
    let missing = 5;
    const { batcher, batches } = newBatcher({ missing: () => missing });
    const results = [0, 1].map((i) => batcher.add(envelopeOf(i)));
    missing = 3;
    batcher.reconsider();
    expect(batches).to.have.length(0);
    missing = 2;
    batcher.reconsider();
    await Promise.all(results);
    expect(batches).to.have.length(1);
  });

  it('sends what it holds when it is told to', async () => {
    const { batcher, batches } = newBatcher();
    const result = batcher.add(envelopeOf(0));
    batcher.flush();
    expect(await result).to.include({ accepted: true });
    expect(batches).to.have.length(1);
  });

  it('refuses what it holds when it is closed', async () => {
    const { batcher } = newBatcher();
    const held = [0, 1].map((i) => batcher.add(envelopeOf(i)).catch((e: unknown) => e));
    batcher.close(new SevError('ROUND_STALE', 'over'));
    expect((await Promise.all(held)).map((e) => (e as SevError).code)).to.deep.equal(['ROUND_STALE', 'ROUND_STALE']);
  });

  it('takes nothing after it was closed', async () => {
    const { batcher } = newBatcher();
    batcher.close(new SevError('ROUND_STALE', 'over'));
    expect(await batcher.add(envelopeOf(0)).catch((e: unknown) => e)).to.have.property('code', 'ROUND_STALE');
    await until(() => batcher.waiting === 0);
  });
});
