// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { newRandom } from '../../random.js';
import { thrownBy } from '../../testing/errors.js';
import { cosine, norm } from '../../vectors.js';
import { RobustnessError } from '../errors.js';
import { ATTACKS, attackNamed } from './attacks.js';
import type { AttackContext } from './attack.js';
import { SHOT_ROUND } from './backdoor.js';
import { encodeUnclipped } from './encode.js';
import { plus } from './vectors.js';

const LENGTH = 400;
const DATA = { features: 2, rows: 3, x: Float32Array.of(0, 1, 0, 2, 0, 3), y: Float32Array.of(1, 2, 6) };

function vector(seed: number): Float32Array {
  const random = newRandom(seed);
  return Float32Array.from({ length: LENGTH }, () => random.normal());
}

const COMMON = vector(1);
/** Honest updates lean to one direction; training on other targets gives another update. */
const honest = (seed: number): Float32Array => plus(COMMON, vector(seed));
const COLLUDERS = [honest(11), honest(12), honest(13), honest(14)];

function context(place: number, change: Partial<AttackContext> = {}): AttackContext {
  return {
    round: 4,
    base: vector(5),
    earlierBases: [vector(6), vector(7), plus(vector(5), COMMON, -1)],
    data: DATA,
    train: (_, data) => plus(COLLUDERS[place]!, vector(2), data.y.reduce((a, b) => a + b, 0) - 9),
    colluders: () => COLLUDERS,
    place,
    random: newRandom(place + 100),
    sharedRandom: () => newRandom(77),
    lastDirection: Int32Array.from(plus(COMMON, vector(9)), (value) => Math.round(1_000 * value)),
    rule: 'capped-trust',
    clip: 4,
    trigger: { feature: 0, shift: 1 },
    ...change,
  };
}

const update = (name: string, place = 0, change: Partial<AttackContext> = {}): Float32Array =>
  attackNamed(name).update(context(place, change));

describe('Attacks', () => {
  it('have names of their own, say what they do and know, and give d finite numbers from the first round on', () => {
    expect(new Set(ATTACKS.map(({ name }) => name)).size).to.equal(ATTACKS.length);
    for (const attack of ATTACKS) {
      expect(attack.description).to.match(/^[^\n]{10,140}$/);
      expect(attack.knows).not.to.equal('');
      for (const first of [{}, { round: 1, earlierBases: [], lastDirection: undefined }]) {
        const sent = attack.update(context(0, first));
        expect(sent).to.have.length(LENGTH);
        expect(sent.every(Number.isFinite), attack.name).to.equal(true);
      }
    }
  });

  it('are found by name, and unknown ones refused', () => {
    const error = thrownBy(() => attackNamed('magic'));
    expect(error).to.be.instanceOf(RobustnessError);
    expect((error as RobustnessError).code).to.equal('ATTACK_UNKNOWN');
  });

  it('label-flip trains on targets mirrored at their mean', () => {
    const seen: number[][] = [];
    const train: AttackContext['train'] = (_, data) => {
      seen.push([...data.y]);
      return COMMON;
    };
    update('label-flip', 0, { train });
    expect(seen).to.deep.equal([[5, 4, 0]]);
  });

  it('sign-flip and scaling multiply the honest update, gaussian drowns it', () => {
    expect(cosine(update('sign-flip'), COLLUDERS[0]!)).to.be.closeTo(-1, 1e-6);
    expect(norm(update('sign-flip'))).to.be.closeTo(10 * norm(COLLUDERS[0]!), 1e-2);
    expect(norm(update('scaling'))).to.be.closeTo(20 * norm(COLLUDERS[0]!), 1e-2);
    expect(Math.abs(cosine(update('gaussian'), COLLUDERS[0]!))).to.be.below(0.2);
  });

  it('alie stays within what colluders differ by, and is the same for all', () => {
    const sent = update('alie');
    expect(sent).to.deep.equal(update('alie', 3));
    const middle = plus(COLLUDERS[0]!, COLLUDERS[1]!);
    expect(cosine(sent, middle)).to.be.above(0);
  });

  it('fang goes against the mean as far as the rule is expected to let it', () => {
    const direction = context(0).lastDirection!;
    const own = COLLUDERS.reduce((sum, one) => sum + cosine(one, direction), 0) / 4;
    expect(cosine(update('fang'), direction)).to.be.closeTo(0.5 * own, 0.05);
    expect(cosine(update('fang', 0, { rule: 'uniform' }), COMMON)).to.be.below(-0.5);
    expect(norm(update('fang', 0, { rule: 'norm-scaling' }))).to.be.closeTo(5, 1e-3);
  });

  it('backdoors train on rows with the trigger, all the time or in one round', () => {
    const seen: number[] = [];
    const train: AttackContext['train'] = (_, data) => {
      seen.push(data.rows, data.x[DATA.x.length] ?? 0, data.y[3] ?? 0);
      return COMMON;
    };
    update('backdoor-slow', 0, { train });
    expect(seen).to.deep.equal([6, 1, 2]);
    expect(norm(update('backdoor-shot', 0, { train }))).to.be.closeTo(norm(COMMON), 1e-3);
    expect(norm(update('backdoor-shot', 0, { train, round: SHOT_ROUND }))).to.be.closeTo(5 * norm(COMMON), 1e-2);
  });

  it('root-aligned goes with the reference and against the mean, colluders alike unless noise hides it', () => {
    const sent = update('root-aligned');
    expect(cosine(sent, context(0).lastDirection!)).to.be.above(0.1);
    expect(cosine(sent, COMMON)).to.be.below(0);
    expect(update('root-aligned', 2)).to.deep.equal(sent);
    const noisy = cosine(update('root-aligned-noisy'), update('root-aligned-noisy', 2));
    expect(noisy).to.be.closeTo(1 / 1.49, 0.1);
    const usual = norm(context(0).colluders()[0]!);
    expect(norm(sent)).to.be.closeTo(1.9 * usual, 0.2 * usual);
    expect(norm(update('root-aligned-noisy', 2))).to.be.closeTo(norm(sent), 1e-3);
  });

  it('free riders send nothing, the last change, or noise of its length', () => {
    expect(norm(update('free-rider-zero'))).to.equal(0);
    expect(cosine(update('free-rider-replay'), COMMON)).to.be.closeTo(1, 1e-3);
    expect(norm(update('free-rider-noise'))).to.be.closeTo(2 * norm(COMMON), 1e-1);
  });

  it('sybils send one vehicle’s update, and pairs hide what they send together', () => {
    expect(update('sybil', 3)).to.deep.equal(COLLUDERS[0]);
    const [one, other] = [update('colluding-pair', 0), update('colluding-pair', 1)];
    expect(cosine(one, other)).to.be.below(-0.3);
    expect(cosine(plus(one, other), COMMON)).to.be.below(-0.5);
    expect(cosine(update('colluding-pair', 2), one)).to.be.below(0.5);
  });

  it('stale-model trains from an old base', () => {
    const bases: Float32Array[] = [];
    update('stale-model', 0, { train: (base) => (bases.push(base), COMMON) });
    expect(bases[0]).to.deep.equal(vector(6));
  });

  it('are encoded without a clip, modulo the ring', () => {
    const encoded = encodeUnclipped(Float32Array.of(100, -1, 2 ** 21), { fractionBits: 11, clip: 4 });
    expect([...encoded]).to.deep.equal([204_800, 2 ** 32 - 2_048, 0]);
  });
});
