// SPDX-License-Identifier: Apache-2.0
import type { CorrectionRecord, RoundRecord, Task } from '@sev/chaincode/api';
import { expect } from 'chai';
import { Federation } from '../testing/federation.js';
import { codeOf } from '../testing/temporary.js';
import { correctionsOf } from './corrections.js';
import { nextBaseOf, type BaseView } from './next-attempt.js';
import { stateBefore } from './server-step.js';

const server = { kind: 'momentum', rateMicro: 1_000_000, beta1Micro: 900_000 } as const;
const { task } = new Federation({ secure: {}, server });

/** Rounds 1 to 3, final. */
const rounds = [1, 2, 3].map(
  (round) =>
    ({
      ...{ taskId: task.taskId, round, attempt: 1, state: 'finalised' },
      proposal: { modelHash: `model ${String(round)}`, serverStateHash: `state ${String(round)}` },
    }) as unknown as RoundRecord,
);
const learning = { round: ({ round }: { round: number }) => Promise.resolve(rounds[round - 1]!) };

function corrected(...records: Partial<CorrectionRecord>[]): BaseView['correction'] {
  return (_task, afterRound) =>
    Promise.resolve(records.find((one) => one.afterRound === afterRound) as CorrectionRecord | undefined);
}
const view = (correction: BaseView['correction']): BaseView => ({
  round: ({ round }) => Promise.resolve(rounds[round - 1]),
  correction,
});

describe('Going on after a correction', () => {
  const ref = { taskId: task.taskId, round: 4, attempt: 1 };
  const planned: Task = { ...task, plannedRounds: 9 };

  it('starts from the model that was kept, and only after the round that it follows', async () => {
    expect(await nextBaseOf(ref, planned, view(corrected()))).to.equal('model 3');
    const after = corrected({ afterRound: 3, modelHash: 'kept' });
    expect(await nextBaseOf(ref, planned, view(after))).to.equal('kept');
    expect(await nextBaseOf(ref, planned, view(corrected({ afterRound: 2, modelHash: 'kept' })))).to.equal('model 3');
  });

  it("takes the optimiser's moments from before the disputed rounds, through one correction after another", async () => {
    const before = (correction: BaseView['correction']) => stateBefore(task, ref, learning, correction);
    expect(await before(corrected())).to.equal('state 3');
    expect(await before(corrected({ afterRound: 3, cleanRound: 1 }))).to.equal('state 1');
    expect(await before(corrected({ afterRound: 3, cleanRound: 0 }))).to.equal(undefined);
    const twice = corrected({ afterRound: 3, cleanRound: 2 }, { afterRound: 2, cleanRound: 1 });
    expect(await before(twice)).to.equal('state 1');
  });

  it('is looked up of secure rounds only', async () => {
    const { ledger } = new Federation({ secure: {} });
    const find = correctionsOf(ledger.session('GridMSP'));
    expect(await find(task, 3)).to.equal(undefined);
    expect(await find(task, 0)).to.equal(undefined);
    const record = { afterRound: 3 } as CorrectionRecord;
    ledger.corrections.set(3, record);
    expect(await find(task, 3)).to.equal(record);
    const { secure: _secure, ...plain } = task;
    expect(await find(plain, 3)).to.equal(undefined);
    const down = { ...ledger.session('GridMSP'), evaluate: () => Promise.reject(new Error('down')) };
    expect(await codeOf(correctionsOf(down)(task, 3)), 'a failure is no answer').not.to.equal('none');
  });
});
