// SPDX-License-Identifier: Apache-2.0
import type { IncidentRecord, RoundRecord } from '@sev/chaincode/api';
import { expect } from 'chai';
import { Federation } from '../testing/federation.js';
import type { LedgerView, SecureTask } from './ledger-view.js';
import { FIRST_VOTE_MS, MOST_TRACEBACK_MS, Traceback } from './traceback.js';

const NOW = 1_000_000_000_000;
const { task: plain } = new Federation({ secure: {} });
const REF = { taskId: plain.taskId, round: 1, attempt: 1 };

describe('The traceback of a round', () => {
  /** @param finalised rounds, each a second after the one before. */
  function view(
    options: { finalised?: number; vestingRounds?: number; incidents?: readonly Partial<IncidentRecord>[] } = {},
  ): Pick<LedgerView, 'roundIfAny' | 'task' | 'incidents'> {
    const { finalised = 1, vestingRounds, incidents = [] } = options;
    const rewards = vestingRounds === undefined ? {} : { rewards: { poolMicro: 1_000, vestingRounds } };
    return {
      roundIfAny: ({ round }) => Promise.resolve(round <= finalised ? finalisedRound(round) : undefined),
      task: () => Promise.resolve({ task: { ...plain, plannedRounds: 10, ...rewards } } as SecureTask),
      incidents: async function* () {
        await Promise.resolve();
        for (const one of incidents) {
          yield { ...REF, disputed: [{ round: 1, attempt: 1 }], openedAtMs: NOW, ...one } as unknown as IncidentRecord;
        }
      },
    };
  }
  const finalisedRound = (round: number): RoundRecord =>
    ({ ...REF, round, state: 'finalised', finalisedAtMs: NOW + 1_000 * round }) as RoundRecord;
  const since = (options: Parameters<typeof view>[0], ref = REF, nowMs = NOW): Promise<number | undefined> =>
    new Traceback(view(options), nowMs).overSinceMs(ref, finalisedRound(ref.round));

  it('is over with the round where nothing is paid', async () => {
    expect(await since({})).to.equal(NOW + 1_000);
  });

  it('is over once the rewards of the round have vested', async () => {
    expect(await since({ vestingRounds: 3, finalised: 3 })).to.equal(undefined);
    expect(await since({ vestingRounds: 3, finalised: 4 })).to.equal(NOW + 4_000);
  });

  it('is over with the last planned round, after which nothing vests', async () => {
    expect(await since({ vestingRounds: 30, finalised: 9 })).to.equal(undefined);
    expect(await since({ vestingRounds: 30, finalised: 10 })).to.equal(NOW + 10_000);
  });

  it('is not put off for ever by a task that stands still', async () => {
    const later = NOW + 1_000 + MOST_TRACEBACK_MS;
    expect(await since({ vestingRounds: 3 }, REF, later - 1)).to.equal(undefined);
    expect(await since({ vestingRounds: 3 }, REF, later)).to.equal(NOW + 1_000);
  });

  for (const state of ['open', 'projections', 'vectors', 'confirmed'] as const) {
    it(`is not over for an attempt that an incident in state ${state} disputes, but for others`, async () => {
      const incidents = [{ state }];
      expect(await since({ incidents })).to.equal(undefined);
      expect(await since({ incidents, finalised: 2 }, { ...REF, round: 2 })).to.equal(NOW + 2_000);
      expect(await since({ incidents }, { ...REF, taskId: 'price-2' })).to.equal(NOW + 1_000);
    });
  }

  it('is over when the incident is cleared, corrected, or nobody has decided it for long', async () => {
    expect(await since({ incidents: [{ state: 'cleared' }] })).to.equal(NOW + 1_000);
    expect(await since({ incidents: [{ state: 'confirmed', correctedWith: 'price-1/9' }] })).to.equal(NOW + 1_000);
    const openedAtMs = NOW - MOST_TRACEBACK_MS;
    expect(await since({ incidents: [{ state: 'projections', openedAtMs }] })).to.equal(NOW + 1_000);
    expect(await since({ incidents: [{ state: 'vectors', openedAtMs, decidedAtMs: NOW }] })).to.equal(undefined);
  });

  it('is over soon where nobody votes for an incident, however often one organisation opens another', async () => {
    const at = (nowMs: number, ...opened: number[]) =>
      since({ incidents: opened.map((openedAtMs) => ({ state: 'open', openedAtMs })) }, REF, nowMs);
    expect(await at(NOW + FIRST_VOTE_MS - 1, NOW)).to.equal(undefined);
    expect(await at(NOW + FIRST_VOTE_MS, NOW)).to.equal(NOW + 1_000);
    const again = [1, 2, 3].map((times) => NOW + 0.9 * times * FIRST_VOTE_MS);
    expect(await at(NOW + 1_000 + 2 * FIRST_VOTE_MS - 1, NOW, ...again)).to.equal(undefined);
    expect(await at(NOW + 1_000 + 2 * FIRST_VOTE_MS, NOW, ...again)).to.equal(NOW + 1_000);
  });

  it('is not over while one of several incidents has been voted for', async () => {
    const incidents = [{ state: 'vectors' }, { state: 'open' }] as const;
    expect(await since({ incidents }, REF, NOW + 3 * FIRST_VOTE_MS)).to.equal(undefined);
    expect(await since({ incidents: [...incidents].reverse() }, REF, NOW + 3 * FIRST_VOTE_MS)).to.equal(undefined);
  });
});
