// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type {
  IncidentRecord,
  RoundRecord,
  Scores,
  ScoresRecord,
  SecureRound,
  StandingRecord,
} from '@sev/chaincode/api';
import { roundText } from '../cli/round-text.js';
import { Federation, vehicleIdOf } from '../testing/federation.js';
import { exampleReport } from '../testing/report.js';
import { judgedLines, judgedRound, type JudgingContracts } from './judged-round.js';
import { reportSchema } from './report.js';
import { summaryText } from './summary.js';

const VALIDATORS = ['CityMSP', 'GridMSP', 'MakerMSP'];
const validation = { validators: VALIDATORS, pastRounds: 0, quarantineMilli: 1, vehicles: 4 };
const { task } = new Federation({ secure: { validation } });
const HASH = 'a'.repeat(64);
const IDS = [0, 1, 2, 3].map(vehicleIdOf);

const scores: Scores = {
  ...{ taskId: task.taskId, round: 2, attempt: 1, cohortHash: HASH, weights: [], reasons: [] },
  references: [...VALIDATORS],
};
const ledger = ledgerWith({});

function ledgerWith({
  standings = [],
  incidents = [],
}: {
  readonly standings?: readonly Pick<StandingRecord, 'vehicleId' | 'quarantined'>[];
  readonly incidents?: readonly Pick<IncidentRecord, 'taskId' | 'vehicleId' | 'quarantinedIn'>[];
}): JudgingContracts {
  const listed = <T>(items: readonly unknown[]) =>
    async function* () {
      yield* await Promise.resolve(items as readonly T[]);
    };
  return {
    learning: {
      scores: () => Promise.resolve({ scores } as ScoresRecord),
      standings: listed<StandingRecord>(standings),
    },
    incidents: { incidents: listed<IncidentRecord>(incidents) },
  };
}

function roundOf(change: Partial<SecureRound>): RoundRecord {
  const validations = VALIDATORS.map((mspId) => ({
    ...{ mspId, dataHash: HASH, lossMicro: 100_000, directionHash: HASH, signature: '' },
  }));
  return {
    ...{ docType: 'round', schemaVersion: 2, taskId: task.taskId, round: 2, attempt: 1, state: 'scored' },
    ...{ privacy: 'secure', baseModelHash: HASH, openedBy: 'GridMSP', openedAtMs: 0, deadlineMs: 1 },
    secure: {
      ...{ opening: { aggregators: [], validations }, openingHash: HASH, openedProjections: 4, chargedMicroRho: 0 },
      ...{ shownAttempts: [], disputes: [], faulty: [], accused: [], scoresHash: HASH },
      validated: { heard: 3, medianLossMicro: 100_000, departed: [] },
      ...change,
    },
  };
}

const heard = (medianLossMicro: number, departed: readonly string[] = []): Partial<SecureRound> => ({
  drawn: IDS,
  drawnLosses: { heard: 4, medianLossMicro, departed },
});

describe('What is told of vehicles that were drawn', () => {
  const drawnOf = async (change: Partial<SecureRound>) => (await judgedRound(ledger, roundOf(change)))?.drawn;

  it('is who was asked, who answered, and what it comes to', async () => {
    expect(await drawnOf(heard(120_000, [IDS[1]!]))).to.deep.equal({
      ...{ asked: 4, heard: 4, lossMicro: 120_000, departed: [IDS[1]], isDoubted: false },
    });
    expect(await drawnOf({ drawn: IDS })).to.deep.equal({ asked: 4, heard: 0, departed: [], isDoubted: false });
  });

  it('is nothing where nobody was drawn', async () => {
    expect(await drawnOf({})).to.equal(undefined);
    expect(await drawnOf({ drawn: [] })).to.equal(undefined);
  });

  it('puts the word of the organisations in doubt where it is far from theirs', async () => {
    const judged = await judgedRound(ledger, roundOf(heard(900_001)));
    expect(judged?.drawn?.isDoubted).to.equal(true);
    expect(judgedLines(judged!)).to.deep.equal([
      "in doubt: to validators the base model's loss is 0.100000, to drawn vehicles 0.900001",
    ]);
    expect(judgedLines((await judgedRound(ledger, roundOf(heard(900_000))))!)).to.deep.equal([]);
  });

  it('names whose loss departs, and that nothing follows', async () => {
    const lines = judgedLines((await judgedRound(ledger, roundOf(heard(100_000, [IDS[0]!]))))!);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.contain(IDS[0]).and.to.contain('nothing follows');
  });

  it('is that some gave no loss, where they were fewer than were asked', async () => {
    const silent = { drawn: IDS, drawnLosses: { heard: 3, medianLossMicro: 100_000, departed: [] } };
    expect(judgedLines((await judgedRound(ledger, roundOf(silent)))!)).to.deep.equal([
      'of 4 drawn vehicles 3 gave their loss',
    ]);
    expect(judgedLines((await judgedRound(ledger, roundOf({ drawn: IDS })))!)).to.deep.equal([
      'of 4 drawn vehicles 0 gave their loss',
    ]);
    expect(judgedLines((await judgedRound(ledger, roundOf({})))!)).to.deep.equal([]);
  });

  it('stands in the report of a run and in its summary', async () => {
    const judged = await judgedRound(ledger, roundOf(heard(900_001)));
    const [first, ...rounds] = exampleReport().rounds;
    const report = { ...exampleReport(), rounds: [{ ...first!, judged }, ...rounds] };
    expect(reportSchema.parse(report)).to.deep.equal(report);
    expect(summaryText(reportSchema.parse(report))).to.contain('round 1: in doubt: ');
  });

  it('stands in what is shown of a round', () => {
    const text = roundText(task, roundOf(heard(120_000)), []);
    expect(text).to.contain('the same by 4 drawn vehicles: 4 gave it; median 0.120000\n');
    expect(text).to.contain("the base's loss on the rows of 4 drawn vehicles");
    expect(roundText(task, roundOf({ drawn: [] }), [])).not.to.contain('drawn vehicle');
  });
});

describe('What is told of quarantine', () => {
  const { taskId } = task;
  const quarantined = async (given: Parameters<typeof ledgerWith>[0]) =>
    (await judgedRound(ledgerWith(given), roundOf({})))?.quarantined;

  it('is whose quarantine the round began', async () => {
    const standings = [
      { vehicleId: IDS[1]!, quarantined: { round: 2, suspicionMilli: 6_000 } },
      { vehicleId: IDS[0]!, quarantined: { round: 1, suspicionMilli: 6_000 } },
      { vehicleId: IDS[2]! },
    ];
    expect(await quarantined({ standings })).to.deep.equal([IDS[1]]);
  });

  it('is the same once an incident has cleared the vehicle', async () => {
    const incidents = [
      { taskId, vehicleId: IDS[3]!, quarantinedIn: 2 },
      { taskId, vehicleId: IDS[2]!, quarantinedIn: 1 },
      { taskId: 'another', vehicleId: IDS[1]!, quarantinedIn: 2 },
      { taskId, vehicleId: IDS[0]! },
    ];
    expect(await quarantined({ incidents })).to.deep.equal([IDS[3]]);
  });

  it('names a vehicle once that an incident is about and that is still in quarantine', async () => {
    const standings = [{ vehicleId: IDS[1]!, quarantined: { round: 2, suspicionMilli: 6_000 } }];
    const incidents = [{ taskId, vehicleId: IDS[1]!, quarantinedIn: 2 }];
    expect(await quarantined({ standings, incidents })).to.deep.equal([IDS[1]]);
  });
});
