// SPDX-License-Identifier: Apache-2.0
import { componentsOf, reportContext } from '@sev/chaincode/api';
import { addTo, componentValues, newRandom, toSigned, type CommittedComponent } from '@sev/fl';
import { expect } from 'chai';
import { openRelease } from '../aggregator/release.js';
import { secretsWithin } from '../e2e/testing/secrets.js';
import { attemptOf } from '../services/attempt.js';
import { intercepted } from '../testing/secure-bed-around.js';
import { SecureBed } from '../testing/secure-bed.js';
import { rejection } from '../testing/temporary.js';
import { Liar, LIES, wrongSums, type Lie } from './testing/lies.js';
import { expectSound } from './testing/outcome.js';
import { onDiskOf, publicContent, type OnDisk } from './testing/secrets-of.js';

/** The aggregator that lacks the disputed component, and so holds all of the others (n = 3, t = 1). */
describe('after a dispute, the aggregator that lacks the component', () => {
  const disputed = 0;
  let bed: SecureBed;
  let curious: string;
  let mine: OnDisk;
  /** Everything it was asked and answered, as text. */
  let heard: string[];

  afterEach(() => bed.stop());

  async function dispute(lie: Lie['around']): Promise<void> {
    bed = await SecureBed.start({ vehicles: 4 });
    const [lacks, liar] = bed.aggregatorIds as [string, string];
    curious = lacks;
    heard = [];
    bed.around.set(lacks, async ({ args, proceed }) => {
      const answer = await proceed();
      heard.push(JSON.stringify([args, answer]));
      return answer;
    });
    bed.around.set(liar, lie(new Liar(bed, liar, newRandom(5))));
    // Its organisation's coordinator may drive, and its attester is asked: what both see is its own.
    const everybody = bed.sources(curious).map((source) => intercepted(source, overheard));
    await bed.run({ sources: everybody });
    const { round } = await expectSound(bed, [liar]);
    expect(round.secure!.disputes.map(({ component }) => component)).to.include(disputed);
    expect(bed.released.size, 'a component was released').to.be.above(0);
    mine = await onDiskOf(bed, curious, attemptOf(round));
  }

  async function overheard({ args, proceed }: Parameters<Parameters<typeof intercepted>[1]>[0]): Promise<unknown> {
    heard.push(JSON.stringify(args));
    return proceed();
  }

  /** All that it has: what is public, what it was sent, and its own disk. */
  const view = (): Buffer =>
    Buffer.concat([
      publicContent(bed),
      Buffer.from(heard.join('\n')),
      Buffer.from(JSON.stringify(mine.secrets)),
      ...[...mine.components.values()].flat().flatMap(({ salt, content }) => [salt, content]),
    ]);

  const vectorOf = (components: readonly CommittedComponent[], vehicleId: string): number[] => {
    const { task, consortium } = bed;
    const count = componentsOf(3, 1).length;
    const length = task.model.parameters + task.secure!.metrics.length;
    const context = reportContext({
      consortium: consortium.bootstrapHash,
      ...{ taskId: task.taskId, round: 1, attempt: 1, baseModelHash: task.model.initialModelHash },
      reporter: vehicleId,
    });
    const sum = new Uint32Array(length);
    components.forEach((component) => {
      addTo(sum, componentValues(component, count, context, length));
    });
    return [...toSigned(sum)].slice(0, task.model.parameters);
  };

  for (const [name, lie] of [
    ['sums', wrongSums(String(disputed))],
    ['projections', LIES.find((one) => one.name === 'signs other projections')!.around],
  ] as const) {
    it(`about ${name} finds no component of any vehicle that would complete its own`, async () => {
      await dispute(lie);
      const ref = attemptOf(await bed.round());
      const holder = await onDiskOf(bed, bed.aggregatorIds[2]!, ref);
      for (const [index, { vehicleId }] of bed.fleet.vehicles.entries()) {
        const lacking = holder.components.get(vehicleId)!.find(({ component }) => component === disputed)!;
        const own = mine.components.get(vehicleId)!;
        const update = [...bed.fleet.updateOf(index, 1)];
        expect(vectorOf([...own, lacking], vehicleId), 'that component is all it lacks').to.deep.equal(update);
        expect(secretsWithin(view(), [Buffer.from(lacking.content)])).to.deep.equal([]);
        const others = [...mine.components].flatMap(([, held]) => held);
        for (const found of others.filter(({ component }) => component !== 2)) {
          const guess = { ...found, component: disputed };
          expect(vectorOf([...own, guess], vehicleId)).to.not.deep.equal(update);
        }
      }
    });

    it(`about ${name} cannot open what was released with any key of its own`, async () => {
      await dispute(lie);
      const place = {
        consortium: bed.consortium.bootstrapHash,
        ...attemptOf(await bed.round()),
        baseModelHash: bed.task.model.initialModelHash,
      };
      const keys = [Buffer.from(mine.secrets.sealingKey, 'base64'), pkcs8Of(bed, curious)];
      for (const hash of bed.released) {
        const sealed = await bed.store.get(hash);
        for (const from of bed.aggregatorIds) {
          for (const [component, key] of [0, 1, 2].flatMap((c) => keys.map((one) => [c, one] as const))) {
            const release = { from, component, index: 0, sealed };
            expect(await rejection(openRelease(place, release, key))).to.be.instanceOf(Error);
          }
        }
      }
    });
  }
});

function pkcs8Of(bed: SecureBed, mspId: string): Buffer {
  return bed.signingKeyOf(mspId).export({ format: 'der', type: 'pkcs8' });
}
