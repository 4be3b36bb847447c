// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { sizeProblem, type ErrorCode, type SecureTerms, type Task } from '../api';
import { CITY, GRID, MAKER, TestConsortium } from '../testing/consortium';
import { RoundDriver, taskOf, withOwnModel } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';
import { DP, dpTask, secureTask, termsOf } from '../testing/secure-learning';
import { validatedTask, VALIDATION } from '../testing/validated-learning';

/** Means of nineteen numbers over vehicles. */
function statisticsTask(): Task {
  const { aggregation, model } = taskOf();
  return secureTask(
    { projections: 0, rule: 'uniform', metrics: [] },
    {
      taskId: 'statistics-1',
      kind: 'statistics',
      model: { ...model, layers: [18, 1], parameters: 19, initialModelHash: 'e'.repeat(64) },
      aggregation: { ...aggregation, weightClasses: [{ minSamples: 1, weight: 1 }] },
      plannedRounds: 1,
    },
  );
}

describe('learning:CreateTask in the secure modes', () => {
  let driver: RoundDriver;
  before(async () => {
    driver = new RoundDriver(await TestConsortium.bootstrapped());
  });
  const create = (task: Task) => driver.coordinate('CreateTask', withOwnModel(task));

  it('takes the terms of both modes, and returns the record when repeated', async () => {
    for (const task of [secureTask({}, { taskId: 'secure-1' }), dpTask({}, { taskId: 'dp-1' })]) {
      const record = await create(task);
      expect(record).to.deep.include({ task: withOwnModel(task) });
      expect(await create(task)).to.deep.equal(record);
    }
    const five = ['A', 'B', 'C', 'D', 'E'].map((name) => `${name}MSP`);
    const refusal = await expectRefusal(
      create(secureTask({ aggregators: five, threshold: 2 })),
      'ORGANISATION_UNKNOWN',
    );
    expect(refusal.detail).to.include('AMSP');
  });

  it('takes validators that are members, with rewards, and no others', async () => {
    const rewards = { poolMicro: 1_000_000, vestingRounds: 2 };
    const task = validatedTask({}, { taskId: 'judged-1', rewards });
    expect(await create(task)).to.deep.include({ task: withOwnModel(task) });
    const validation = { ...VALIDATION, validators: [CITY, GRID, 'OtherMSP'] };
    const refusal = await expectRefusal(create(validatedTask({ validation })), 'ORGANISATION_UNKNOWN');
    expect(refusal.detail).to.equal('validator OtherMSP');
  });

  it('takes a direction as long as its projection stays in the ring, and a budget for one number more', async () => {
    await create(validatedTask({ clipMilli: 5_600 }, { taskId: 'judged-2' }));
    await create(validatedTask({ openedShareMilli: 34 }, { taskId: 'judged-3' }));
    await create(secureTask({ clipMilli: 5_700, openedShareMilli: 33 }, { taskId: 'not-judged' }));
  });

  const { secure: _none, ...withoutTerms } = secureTask();
  const { dp: _noDp, ...withoutDp } = dpTask().secure!;
  const dpWith = (change: Partial<SecureTerms>): Task => dpTask({}, { secure: { ...dpTask().secure!, ...change } });
  const LIGHT = {
    ...secureTask().aggregation,
    weightClasses: [3, 4].map((weight, i) => ({ minSamples: i + 2, weight })),
  };
  const JUDGED = { validation: VALIDATION };
  const REWARDED = { rewards: { poolMicro: 1_000_000, vestingRounds: 2 } };
  const SINGLE = { ...LIGHT, weightClasses: [{ minSamples: 1, weight: 4 }] };
  const refusedTasks: [string, Task, string][] = [
    ['a secure mode without terms', withoutTerms, 'secure: missing'],
    ['terms in plain mode', taskOf({ secure: termsOf() }), 'secure: only'],
    ['terms of differential privacy in mode secure', secureTask({ dp: DP }), 'secure.dp'],
    ['mode dp without them', dpTask({}, { secure: withoutDp }), 'secure.dp'],
    ['projections in mode dp', dpWith({ projections: 2 }), 'secure.projections'],
    ['another rule than uniform in mode dp', dpWith({ rule: 'norm-scaling' }), 'secure.rule'],
    ['a rule that needs projections without any', secureTask({ projections: 0 }), 'secure.rule'],
    ['weights that norm scaling cannot lower', secureTask({}, { aggregation: LIGHT }), 'aggregation.weightClasses'],
    [
      'projections of single records',
      secureTask({}, { aggregation: SINGLE }),
      'weightClasses: a vehicle with a single',
    ],
    ['aggregators out of order', secureTask({ aggregators: [GRID, CITY, MAKER] }), 'secure.aggregators'],
    ['an aggregator twice', secureTask({ aggregators: [CITY, CITY, GRID] }), 'secure.aggregators'],
    ['fewer aggregators than 2t + 1', secureTask({ threshold: 2 }), 'secure.threshold'],
    ['a metric twice', secureTask({ metrics: ['loss', 'loss'] }), 'secure.metrics'],
    ['sums that could wrap around', secureTask({ fractionBits: 18 }), 'secure.shardSize'],
    [
      'projections that could wrap around',
      secureTask({ fractionBits: 24, clipMilli: 13_000, shardSize: 1 }),
      'secure.fractionBits',
    ],
    ['fewer projections in all than one round opens', secureTask({ openedShareMilli: 22 }), 'secure.openedShareMilli'],
    [
      'weights that another rule cannot lower',
      secureTask({ rule: 'multi-krum' }, { aggregation: LIGHT }),
      'leaves multi-krum no room',
    ],
    ['clustering without projections', secureTask({ rule: 'clustering', projections: 0 }), 'secure.rule'],
    ['trust without validators', secureTask({ rule: 'trust' }), 'secure.validation'],
    ['capped trust without validators', secureTask({ rule: 'capped-trust' }), 'secure.validation'],
    ['validators without projections', secureTask({ ...JUDGED, projections: 0, rule: 'uniform' }), 'secure.validation'],
    ['validators in mode dp', dpWith(JUDGED), 'secure.validation'],
    [
      'validators out of order',
      validatedTask({ validation: { ...VALIDATION, validators: [GRID, CITY] } }),
      'validators: not sorted',
    ],
    [
      'a validator twice',
      validatedTask({ validation: { ...VALIDATION, validators: [CITY, CITY] } }),
      'validators: not sorted',
    ],
    // 2^11 · 2 · 5.7 · √2 · 2^16 is beyond 2^31; the sums of few vehicles are not.
    [
      'a projection on the reference that could wrap around',
      validatedTask({ clipMilli: 5_700 }),
      'reference direction',
    ],
    // 89 · .033 is 2: what two projections take, and not the third number.
    [
      'fewer numbers in all than one round with validators opens',
      validatedTask({ openedShareMilli: 33 }),
      'secure.openedShareMilli',
    ],
    ['rewards without validators', secureTask({}, REWARDED), 'rewards'],
    ['rewards in plain mode', taskOf(REWARDED), 'rewards'],
    ['a budget below one sum', dpTask({ budgetMicroRho: 1 }), 'secure.dp.budgetMicroRho'],
    ['more vehicles than one sum holds in mode dp', dpWith({ shardSize: 2 }), 'cohort.target'],
  ];
  for (const [what, task, path] of refusedTasks) {
    it(`refuses ${what}, naming the path`, async () => {
      const refusal = await expectRefusal(create({ ...task, taskId: 'other' }), 'ARGUMENT_INVALID');
      expect(refusal.detail).to.include(path);
    });
  }

  const belowFloors: [string, Task, string][] = [
    ['sums over two vehicles', secureTask({}, { cohort: { minimum: 2, target: 3 } }), 'cohort.minimum'],
    ['noisy sums over two vehicles', dpTask({}, { cohort: { minimum: 2, target: 3 } }), 'cohort.minimum'],
    ['projections of more than a quarter', secureTask({ openedShareMilli: 251 }), 'secure.openedShareMilli'],
    [
      'shards that may be of fewer than 64 vehicles',
      secureTask({ shardSize: 126 }, { cohort: { minimum: 3, target: 127 } }),
      'secure.shardSize',
    ],
    ['shards of three', secureTask({ shardSize: 3 }, { cohort: { minimum: 3, target: 21 } }), 'secure.shardSize'],
  ];
  for (const [what, task, path] of belowFloors) {
    it(`refuses ${what}, which no task may have`, async () => {
      const refusal = await expectRefusal(create({ ...task, taskId: 'other' }), 'TERMS_BELOW_FLOOR');
      expect(refusal.detail).to.include(path);
    });
  }

  const STATISTICS = statisticsTask();
  const statisticsWith = (change: Partial<Task>): Task => ({ ...STATISTICS, ...change });
  const refusedStatistics: [string, Task, string, ErrorCode][] = [
    ['of more than one round', statisticsWith({ plannedRounds: 2 }), 'plannedRounds', 'TERMS_BELOW_FLOOR'],
    [
      'of which projections are opened',
      statisticsWith({
        secure: { ...STATISTICS.secure!, projections: 1 },
        aggregation: { ...STATISTICS.aggregation, weightClasses: [{ minSamples: 2, weight: 4 }] },
      }),
      'secure.projections',
      'TERMS_BELOW_FLOOR',
    ],
    [
      'of a network',
      statisticsWith({ model: { ...taskOf().model, initialModelHash: 'f'.repeat(64) } }),
      'model.layers',
      'ARGUMENT_INVALID',
    ],
    [
      'in which some weigh more',
      statisticsWith({ aggregation: taskOf().aggregation }),
      'aggregation.weightClasses',
      'ARGUMENT_INVALID',
    ],
    [
      'moved by an optimiser',
      statisticsWith({
        aggregation: { ...STATISTICS.aggregation, server: { kind: 'momentum', rateMicro: 1, beta1Micro: 1 } },
      }),
      'aggregation.server',
      'ARGUMENT_INVALID',
    ],
    [
      'with metrics of a model',
      statisticsWith({ secure: { ...STATISTICS.secure!, metrics: ['loss'] } }),
      'secure.metrics',
      'ARGUMENT_INVALID',
    ],
  ];
  for (const [what, task, path, code] of refusedStatistics) {
    it(`refuses statistics ${what}, naming the path`, async () => {
      const refusal = await expectRefusal(create({ ...task, taskId: 'other' }), code);
      expect(refusal.detail).to.include(path);
    });
  }

  it('takes statistics whose one round opens nothing but sums', async () => {
    expect(await create(STATISTICS)).to.deep.include({ task: withOwnModel(STATISTICS) });
  });

  it('takes small sums of a fleet that fits in one, and shards of any larger one that leave 64', async () => {
    const one = secureTask({ shardSize: 21 }, { taskId: 'one-sum', cohort: { minimum: 3, target: 21 } });
    expect(await create(one)).to.deep.include({ task: withOwnModel(one) });
    const cut = secureTask({ shardSize: 127 }, { taskId: 'shards', cohort: { minimum: 3, target: 1_000 } });
    expect(await create(cut)).to.deep.include({ task: withOwnModel(cut) });
    for (let size = 127; size < 2_000; size++) {
      expect(sizeProblem(cut, cut.secure!, size), `${size} vehicles`).to.equal(undefined);
    }
  });

  it('refuses so coarse a grid that rounding takes honest updates out of their range', async () => {
    // d = 19: √19 > 2 · .1, and √(.04 + 19/4 + .2 + √19/2) = 2.7 > .4; with C = 1.5 it is √(9 + 19/4 + 3 + √19/2) = 4.3 < 6.
    const coarse = (clipMilli: number): Task => secureTask({ fractionBits: 1, clipMilli }, { model: taskOf().model });
    const refusal = await expectRefusal(create({ ...coarse(100), taskId: 'coarse-1' }), 'ARGUMENT_INVALID');
    expect(refusal.detail).to.include('secure.fractionBits').and.to.include('rounding');
    await create({ ...coarse(1_500), taskId: 'coarse-2' });
  });

  it('takes the ring of 16 bits where only sums are opened and fit it', async () => {
    const narrow = (change: Partial<SecureTerms> = {}, weight = 1): Task => {
      const terms = {
        ringBits: 16,
        projections: 0,
        rule: 'uniform',
        fractionBits: 5,
        shardSize: 127,
        ...change,
      } as const;
      const task = secureTask(terms);
      return { ...task, aggregation: { ...task.aggregation, weightClasses: [{ minSamples: 2, weight }] } };
    };
    await create({ ...narrow(), taskId: 'narrow-1' });
    // 2^5 · 2 · 4 · 128 = 2^15.
    for (const task of [narrow({ shardSize: 128 }), narrow({}, 2), narrow({ fractionBits: 6 })]) {
      const refusal = await expectRefusal(create({ ...task, taskId: 'narrow-2' }), 'ARGUMENT_INVALID');
      expect(refusal.detail).to.include('secure.shardSize');
    }
    await create({ ...narrow({ ringBits: 32, shardSize: 128 }), taskId: 'narrow-3' });
  });

  it('refuses the ring of 16 bits with projections or noise', async () => {
    const noisy = dpTask({ noiseDeviation: 1 });
    const tasks = [
      secureTask({ ringBits: 16, fractionBits: 1, shardSize: 1 }),
      { ...noisy, secure: { ...noisy.secure!, ringBits: 16 as const, fractionBits: 1, shardSize: 4 } },
    ];
    for (const task of tasks) {
      await expectRefusal(create({ ...task, taskId: 'narrow-4' }), 'RING_TOO_NARROW');
    }
  });

  it('takes noise up to where its tail would leave the ring, and none beyond', async () => {
    // 2^15 · 2 · 7 · 4 · 1024 for the updates: below 2^31 alone, and with 3 · 12 · 7,000,000, not with 10,000,000.
    const withNoise = (noiseDeviation: number): Task =>
      dpWith({ fractionBits: 15, clipMilli: 7_000, dp: { ...DP, noiseDeviation } });
    await create({ ...withNoise(7_000_000), taskId: 'dp-2' });
    const refusal = await expectRefusal(create({ ...withNoise(10_000_000), taskId: 'dp-3' }), 'ARGUMENT_INVALID');
    expect(refusal.detail).to.include('secure.shardSize');
  });
});
