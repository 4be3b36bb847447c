// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { ringBitsOfTerms, sha256Hex, type Task } from '@sev/chaincode/api';
import {
  parametersFromBytes,
  parametersToBytes,
  ringBytes,
  ringFromBytes,
  ringZeros,
  subtractFrom,
  type RingVector,
} from '@sev/fl';
import { expect } from 'chai';
import { failureOfStore } from './testing/checked-store.js';
import { BASE, HASH, INITIAL_MODEL, TASK } from './testing/scenario.js';
import { SecureScenario, secureTask } from './testing/secure-scenario.js';

const D = TASK.model.parameters;
const LENGTH = D + 1;

/** A store, and a secure round that became final with a model. */
interface Finalised {
  readonly scenario: SecureScenario;
  readonly objects: Map<string, Uint8Array>;
  readonly sums: readonly string[];
  readonly modelHash: string;
}

/**
 * Two random components and the one that makes them a total within half of the ring, and the model; or another one.
 *
 * @param every which values of the total are not 0.
 */
function finalised({
  model,
  length = LENGTH,
  task,
  every = 1,
}: { model?: Uint8Array; length?: number; task?: Task; every?: number } = {}): Finalised {
  const objects = new Map<string, Uint8Array>([[BASE, INITIAL_MODEL]]);
  const put = (bytes: Uint8Array): string => {
    const hash = sha256Hex(bytes);
    objects.set(hash, bytes);
    return hash;
  };
  const scenario = new SecureScenario(task).begin().closedRound().fix().score();
  const { fractionBits } = scenario.terms;
  const bits = ringBitsOfTerms(scenario.terms);
  const edge = 2 ** (bits - 12);
  const total = Array.from({ length }, (_, i) => (i % every === 0 ? ((i * 7_919) % (2 * edge)) - edge : 0));
  const [a, b] = [0, 1].map(() => ringFromBytes(randomBytes((length * bits) / 8), length, bits)) as [
    RingVector,
    RingVector,
  ];
  const c = ringZeros(length, bits);
  c.set(total);
  subtractFrom(c, a);
  subtractFrom(c, b);
  const sums = [a, b, c].map((component) => put(ringBytes(component)));
  scenario.commit({ sums });
  const divisor = 3 * scenario.classWeight() * 2 ** fractionBits;
  const base = parametersFromBytes(INITIAL_MODEL, D);
  const modelHash = put(model ?? parametersToBytes(base.map((value, i) => value + total[i]! / divisor)));
  scenario.finaliseSecurely({ proposal: { modelHash } });
  return { scenario, objects, sums, modelHash };
}

const check = ({ scenario, objects }: Finalised) => failureOfStore(scenario, objects);

describe('audit of the store after a secure round', () => {
  it('finds the model that the component sums give', async () => {
    const round = finalised();
    expect(await check(round)).to.equal(undefined);
    expect(round.scenario.replay.state.counts).to.include({ aggregations: 1, objects: 5 });
  });

  it('finds the model that sums of 16 bits give, and names one of 32', async () => {
    const narrow = { ringBits: 16, projections: 0, rule: 'uniform', fractionBits: 3, shardSize: 3 } as const;
    expect(await check(finalised({ task: secureTask(narrow), every: 100 }))).to.equal(undefined);
    const wide = finalised({ task: secureTask(narrow), length: 2 * LENGTH });
    expect(await check(wide)).to.include({ code: 'OBJECT_MALFORMED' });
  });

  it('names a model from a total that is longer than honest ones, where vehicles are not measured one by one', async () => {
    const task = secureTask({ projections: 0, rule: 'uniform' });
    expect(await check(finalised({ task, every: 10_000 }))).to.include({ code: 'AGGREGATION_MISMATCH' });
  });

  it('names a sum that is missing, and one that was changed', async () => {
    const missing = finalised();
    missing.objects.delete(missing.sums[1]!);
    expect(await check(missing)).to.include({ code: 'OBJECT_MISSING' });
    const changed = finalised();
    changed.objects.set(changed.sums[2]!, randomBytes(4 * LENGTH));
    const failure = await check(changed);
    expect(failure).to.include({ code: 'CONTENT_HASH_MISMATCH' });
    expect(failure?.where).to.include('sum of component 2');
  });

  it('names a sum of another length than the vectors of the task', async () => {
    expect(await check(finalised({ length: D }))).to.include({ code: 'OBJECT_MALFORMED' });
  });

  it('names a model that the sums do not give', async () => {
    const failure = await check(finalised({ model: parametersToBytes(new Float32Array(D)) }));
    expect(failure).to.include({ kind: 'model', code: 'AGGREGATION_MISMATCH' });
  });

  it('looks for no objects under the commitments that vehicles recorded', async () => {
    const round = finalised();
    const { updateHash } = round.scenario.reporters[0]!;
    round.objects.set(updateHash, Buffer.from('not what the hash says'));
    expect(await check(round)).to.equal(undefined);
    const aborted = new SecureScenario().begin().closedRound().abortSecurely();
    const objects = new Map([
      [BASE, INITIAL_MODEL],
      ...aborted.reporters.map((r) => [r.updateHash, INITIAL_MODEL] as const),
    ]);
    expect(await check({ scenario: aborted, objects, sums: [], modelHash: HASH('0') })).to.equal(undefined);
  });
});
