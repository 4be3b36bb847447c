// SPDX-License-Identifier: Apache-2.0
import { INCIDENT_PROJECTIONS, sha256Hex, type IncidentFindings } from '@sev/chaincode/api';
import { newRandom, project, projectionVectors, quantiseDirection, toSigned } from '@sev/fl';
import { expect } from 'chai';
import { assess } from './assessment.js';
import { findingsHash, findingsOf, type OpenedUpdate } from './findings.js';

const D = 2_000;
const SEED = 'a'.repeat(64);
const TERMS = { incidentId: 'one', fractionBits: 11, parameters: D };
const REF = { taskId: 'price-1', round: 3, attempt: 1 };
const random = newRandom(3);
const noise = (): Int32Array => Int32Array.from({ length: D }, () => Math.round((random.uniform() - 0.5) * 300));
const reference = quantiseDirection(noise());

/** An update of this cosine to the reference, about. */
function along(cosine: number): Int32Array {
  const other = noise();
  const scale = Math.sqrt(1 - cosine * cosine);
  const length = Math.hypot(...other);
  return other.map((value, i) => Math.round(2_000 * (cosine * (reference[i]! / 2 ** 16) + (scale * value) / length)));
}
const vector = (values: Int32Array, more: Partial<OpenedUpdate> = {}): OpenedUpdate => ({
  ...{ ref: REF, reference, weight: 6 },
  opened: { kind: 'vectors', values: Int32Array.from([...values, 123_456]) },
  ...more,
});
const projected = (values: Int32Array, seed = SEED): OpenedUpdate => ({
  ...{ ref: REF, reference, weight: 6 },
  opened: {
    kind: 'projections',
    seed,
    values: toSigned(project(Uint32Array.from(values), projectionVectors(seed, INCIDENT_PROJECTIONS, D))),
  },
});
const one = (update: OpenedUpdate) => findingsOf(TERMS, [update]).updates[0]!;

describe('Findings of opened updates', () => {
  it('measure an opened update exactly, without its metrics', () => {
    const values = new Int32Array(D);
    values[0] = 3 * 2_048;
    values[1] = 4 * 2_048;
    const axis = new Int32Array(D);
    axis[1] = 2 ** 16;
    const found = one(vector(values, { reference: axis }));
    const bytes = Buffer.alloc(4 * D);
    values.forEach((value, i) => bytes.writeInt32LE(value, 4 * i));
    const vectorHash = sha256Hex(bytes);
    expect(found).to.deep.equal({
      ...{ round: 3, attempt: 1, vectorHash },
      ...{ cosineMilli: 800, normMilli: 5_000, weight: 6 },
    });
  });

  it('estimate norm and cosine from projections, within what 64 of them allow', () => {
    for (const cosine of [-0.9, -0.4, 0, 0.4, 0.9]) {
      const update = along(cosine);
      const exact = one(vector(update));
      const seeds = Array.from({ length: 16 }, (_, i) => sha256Hex(String(i)));
      const errors = seeds.map((seed) => {
        const estimate = one(projected(update, seed));
        expect(estimate).not.to.have.property('vectorHash');
        expect(estimate.normMilli / exact.normMilli).to.be.within(0.6, 1.4);
        return (estimate.cosineMilli - exact.cosineMilli) / 1_000;
      });
      const deviation = Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / errors.length);
      expect(deviation, `cosine ${String(cosine)}`).to.be.at.most(0.2);
    }
  });

  it('know no cosine without a reference direction, or of an update of zeros', () => {
    expect(one(vector(along(1), { reference: undefined })).cosineMilli).to.equal(0);
    expect(one(vector(new Int32Array(D)))).to.include({ cosineMilli: 0, normMilli: 0 });
    expect(one(projected(new Int32Array(D)))).to.include({ cosineMilli: 0, normMilli: 0 });
  });

  it('have the same hash wherever they are computed, and another for anything else', () => {
    const update = along(0.5);
    const hash = findingsHash(findingsOf(TERMS, [vector(update)]));
    expect(findingsHash(findingsOf(TERMS, [vector(update.slice())]))).to.equal(hash);
    const others = [
      findingsOf({ ...TERMS, incidentId: 'two' }, [vector(update)]),
      findingsOf(TERMS, [vector(update, { weight: 7 })]),
      findingsOf(TERMS, [projected(update)]),
      findingsOf(TERMS, [vector(update.map((value, i) => (i === 7 ? value + 1 : value)))]),
    ];
    others.forEach((other) => expect(findingsHash(other)).not.to.equal(hash));
  });
});

describe('What findings speak for', () => {
  const terms = { clipMilli: 4_000, hasReference: true };
  const findings = (...updates: Partial<IncidentFindings['updates'][number]>[]): IncidentFindings => ({
    type: 'sev/incident-findings/v1',
    incidentId: 'one',
    updates: updates.map((update, index) => ({
      ...{ round: index + 1, attempt: 1, cosineMilli: 500, normMilli: 2_000, weight: 6 },
      ...update,
    })),
  });
  const speaks = (...updates: Partial<IncidentFindings['updates'][number]>[]) =>
    assess(findings(...updates), terms).updates.map((update) => update.speaks);
  const hash = (text: string): { vectorHash: string } => ({ vectorHash: sha256Hex(text) });

  it('is guilt where updates point away, are too long, are nothing, or are repeated', () => {
    expect(speaks({ cosineMilli: -400 })).to.deep.equal(['confirm']);
    expect(speaks({ cosineMilli: -1, ...hash('a') })).to.deep.equal(['confirm']);
    expect(speaks({ normMilli: 5_001 })).to.deep.equal(['confirm']);
    expect(speaks({ normMilli: 0, cosineMilli: 0 })).to.deep.equal(['confirm']);
    expect(speaks(hash('a'), hash('b'), hash('a'))).to.deep.equal(['clear', 'clear', 'confirm']);
  });

  it('is innocence where they point along, and nothing where projections cannot tell', () => {
    expect(speaks({ cosineMilli: 400 })).to.deep.equal(['clear']);
    expect(speaks({ cosineMilli: 30, ...hash('a') })).to.deep.equal(['clear']);
    expect(speaks({ cosineMilli: 200 })).to.deep.equal(['neither']);
    expect(speaks({ cosineMilli: -200 })).to.deep.equal(['neither']);
    expect(assess(findings({}), { ...terms, hasReference: false }).updates[0]!.speaks).to.equal('neither');
  });

  it('is summed up by the majority of updates', () => {
    const away = { cosineMilli: -400 };
    const { summary, confirm, clear } = assess(findings(away, away, {}), terms);
    expect([confirm, clear]).to.deep.equal([2, 1]);
    expect(summary).to.include('--step confirm');
    expect(assess(findings({}, {}, away), terms).summary).to.include('--step clear');
    expect(assess(findings({}, away), terms).summary).to.include('decides nothing');
  });
});
