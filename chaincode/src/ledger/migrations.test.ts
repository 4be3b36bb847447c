// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { TestConsortium } from '../testing/consortium';
import { expectThrown } from '../testing/refusal';
import { runSampleHistory } from '../testing/sample-history';
import { schemaVersionOf, upgraded } from './migrations';
import type { StoredRecord } from './records';

describe('Records of earlier versions', () => {
  it('become those of the present one, and present ones stay as they are', () => {
    const vote = { docType: 'vote', schemaVersion: 1, proposalId: 'p', mspId: 'A', approve: true, votedAtMs: 1 };
    const present = upgraded(vote);
    expect(present).to.deep.equal({ ...vote, schemaVersion: 2, admission: '' });
    expect(upgraded(present)).to.equal(present);
    expect(vote, 'upgrades are pure').to.have.property('schemaVersion', 1);
  });

  it('keep whether a proposal was executed', () => {
    const proposal = { docType: 'proposal', schemaVersion: 1, proposalId: 'p' };
    const states = [true, false].map((executed) => upgraded({ ...proposal, executed } as StoredRecord));
    expect(states.map((record) => (record as unknown as { state: string }).state)).to.deep.equal(['executed', 'open']);
    expect(states[0]).not.to.have.property('executed');
  });

  it('keep what was shown in a secure round, and leave plain rounds as they are', () => {
    const plain = { docType: 'round', schemaVersion: 1, round: 3 };
    expect(upgraded(plain)).to.deep.equal({ ...plain, schemaVersion: 2 });
    const secure = { shownAttempts: [1, 2], disputes: [{ component: 0, phase: 'audit', openedAtMs: 1 }], faulty: [] };
    expect(upgraded({ ...plain, secure } as StoredRecord)).to.deep.include({
      secure: {
        shownAttempts: [1, 2].map((attempt) => ({ round: 3, attempt })),
        disputes: [{ component: 0, phase: 'audit', openedAtMs: 1, said: [] }],
        ...{ faulty: [], accused: [] },
      },
    });
  });

  it('are refused where a newer version wrote them, or none', () => {
    expectThrown(() => upgraded({ docType: 'vehicle', schemaVersion: 3 }), 'STATE_NEWER');
    expectThrown(() => upgraded({ docType: 'task', schemaVersion: 2 }), 'STATE_NEWER');
    for (const schemaVersion of [0, 1.5, NaN, undefined]) {
      const record = { docType: 'vehicle', schemaVersion } as StoredRecord;
      expect(() => upgraded(record)).to.throw('without a version');
    }
  });

  it('are written in the version that is read, whatever the docType', async () => {
    const consortium = new TestConsortium();
    await runSampleHistory(consortium);
    const { ledger } = consortium;
    const keys = ledger.range('', '\u{10ffff}');
    expect(keys.length).to.be.greaterThan(30);
    for (const key of keys) {
      const { docType, schemaVersion } = JSON.parse(ledger.get(key)!.toString()) as StoredRecord;
      expect(schemaVersion, docType).to.equal(schemaVersionOf(docType));
    }
  });
});
