// SPDX-License-Identifier: Apache-2.0
import { INCIDENT_PROJECTIONS } from '@sev/chaincode/api';
import {
  project,
  projectionVectors,
  ringBytes,
  shareVector,
  systemRandom,
  toSigned,
  type CommittedComponent,
  type SharedVector,
} from '@sev/fl';
import { expect } from 'chai';
import { rejection } from '../testing/temporary.js';
import { agreedProjections, committedVector, type Answer } from './opened-update.js';

const HOLDERS = [
  [1, 2],
  [0, 2],
  [0, 1],
];
const NAMES = ['AMSP', 'BMSP', 'CMSP'] as const;
const CONTEXT = 'c'.repeat(64);
const SEED = 'd'.repeat(64);
const LENGTH = 90;
const VECTORS = projectionVectors(SEED, INCIDENT_PROJECTIONS, LENGTH - 1);

const vector = Uint32Array.from({ length: LENGTH }, (_, i) => (i * 7_919 - 300_000) >>> 0);
const shared: SharedVector = shareVector(vector, CONTEXT, HOLDERS, systemRandom);

function componentsOf(aggregator: number): readonly CommittedComponent[] {
  return shared.components.filter(({ component }) => HOLDERS[component]!.includes(aggregator));
}

function vectors(change: (given: CommittedComponent, name: string) => Partial<CommittedComponent> = () => ({})) {
  return NAMES.map((mspId, aggregator): Answer<'vectors'> => {
    const components = componentsOf(aggregator)
      .map((given) => ({ ...given, ...change(given, mspId) }))
      .map(({ component, salt, content }) => ({
        component,
        salt: Buffer.from(salt).toString('hex'),
        content: Buffer.from(content).toString('base64'),
      }));
    return { mspId, opened: { kind: 'vectors', leaves: shared.leaves, components } };
  });
}
const TERMS = { root: shared.root, context: CONTEXT, components: 3, length: LENGTH, bits: 32 } as const;

/** Random parts that add up to the update's projections; each aggregator says those of its components. */
function projections(lie: (component: number, name: string) => number = () => 0): Answer<'projections'>[] {
  const whole = project(vector, VECTORS);
  const parts = [0, 1].map((part) => whole.map((_, i) => ((part + 1) * 1_000_003 * (i + 1)) >>> 0));
  parts.push(whole.map((value, i) => (value - parts[0]![i]! - parts[1]![i]!) >>> 0));
  return NAMES.map((mspId, aggregator): Answer<'projections'> => {
    const own = [0, 1, 2].filter((component) => HOLDERS[component]!.includes(aggregator));
    const numbers = own.map((component): [string, string] => {
      const said = parts[component]!.map((value, i) => (i === 5 ? value + lie(component, mspId) : value));
      return [String(component), Buffer.from(ringBytes(said)).toString('base64')];
    });
    return { mspId, opened: { kind: 'projections', seed: SEED, numbers: Object.fromEntries(numbers) } };
  });
}
const codeOfCall = (call: () => unknown): Promise<{ code?: string; message: string }> =>
  rejection(Promise.resolve().then(call)) as Promise<{ code?: string; message: string }>;

describe('Projections that aggregators open of a disputed update', () => {
  it('add up to those of the update where holders agree', () => {
    const { values, alone } = agreedProjections(projections(), SEED, 3);
    expect(values).to.deep.equal(toSigned(project(vector, VECTORS)));
    expect(alone).to.deep.equal([]);
  });

  it('are not believed where two holders of a component contradict each other', async () => {
    const lied = projections((component, name) => (component === 1 && name === 'CMSP' ? 1 : 0));
    const error = await codeOfCall(() => agreedProjections(lied, SEED, 3));
    expect(error.code).to.equal('EVIDENCE_DISAGREES');
    expect(error.message).to.include('AMSP and CMSP').and.include('component 1');
  });

  it('say which of them rest on one aggregator, and are none where nobody answers for a component', async () => {
    const { alone } = agreedProjections(projections().slice(0, 2), SEED, 3);
    expect(alone).to.deep.equal([0, 1]);
    expect((await codeOfCall(() => agreedProjections(projections().slice(0, 1), SEED, 3))).code).to.equal(
      'EVIDENCE_INCOMPLETE',
    );
  });

  it('do not count where they are along other vectors', async () => {
    const [first, ...others] = projections();
    const other: Answer<'projections'> = { mspId: 'AMSP', opened: { ...first!.opened, seed: 'e'.repeat(64) } };
    expect(agreedProjections([other, ...others], SEED, 3).alone).to.deep.equal([1, 2]);
    expect((await codeOfCall(() => agreedProjections([other], SEED, 3))).code).to.equal('EVIDENCE_INCOMPLETE');
  });
});

describe('Components that aggregators open of a disputed update', () => {
  it('add up to the update that was committed to', () => {
    const { values, refuted } = committedVector(vectors(), TERMS);
    expect(values).to.deep.equal(toSigned(vector));
    expect(refuted).to.deep.equal([]);
  });

  it('do not count where they are not what the vehicle committed to, and name who gave them', () => {
    const flipped = (content: Uint8Array): Uint8Array => content.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
    const lies = vectors((given, name) => (name === 'BMSP' ? { content: flipped(given.content) } : {}));
    const { values, refuted } = committedVector(lies, TERMS);
    expect(values).to.deep.equal(toSigned(vector));
    expect(refuted).to.deep.equal(['BMSP']);
  });

  it('are refused whole where the root is another: of another vehicle, attempt or task', async () => {
    for (const other of [
      { ...TERMS, root: 'f'.repeat(64) },
      { ...TERMS, context: 'f'.repeat(64) },
    ]) {
      expect((await codeOfCall(() => committedVector(vectors(), other))).code).to.equal('EVIDENCE_INCOMPLETE');
    }
  });
});
