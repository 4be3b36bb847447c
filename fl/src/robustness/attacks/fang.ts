// SPDX-License-Identifier: Apache-2.0
import { cosine, norm } from '../../vectors.js';
import type { Attack, AttackContext } from './attack.js';
import { mean, plus, withNorm } from './vectors.js';

/** λ is sought from 0 to this by so many halvings. */
const LONGEST = 4;
const HALVINGS = 8;
/** Where nothing bounds an update. */
const UNBOUNDED_RULES: readonly string[] = ['uniform', 'fedavg'];
const UNBOUNDED = 10;
/** How far norm scaling lets an update be without loss, in clips. */
const TOLERATED_CLIPS = 1.25;
/** Share of the colluders' own cosine to the reference that a vehicle needs so as not to lose much trust. */
const KEPT_COSINE = 0.5;

/**
 * A directed deviation against the rule in force (Fang, Cao, Jia and Gong, "Local model poisoning attacks to
 * Byzantine-robust federated learning", 2020, section 4): the longest step against the sign of the mean update that the
 * colluders expect the rule to accept, found by halving, each judged from their own honest updates.
 */
export const fang: Attack = {
  name: 'fang',
  description: 'sends the furthest reverse of the mean update that the rule in force is expected to accept',
  knows: 'the honest updates of all colluders, the rule, the last reference direction',
  role: 'vehicle',
  update(context) {
    const updates = context.colluders();
    const honest = mean(updates);
    const length = updates.reduce((sum, one) => sum + norm(one), 0) / updates.length;
    const reverse = withNorm(
      honest.map((value) => -Math.sign(value)),
      length,
    );
    if (UNBOUNDED_RULES.includes(context.rule)) {
      return withNorm(reverse, UNBOUNDED * length);
    }
    if (context.rule === 'norm-scaling') {
      return withNorm(reverse, TOLERATED_CLIPS * context.clip);
    }
    const candidate = (lambda: number): Float32Array => withNorm(plus(honest, reverse, lambda), length);
    let [accepted, refused] = [0, LONGEST];
    for (let step = 0; step < HALVINGS; step++) {
      const lambda = (accepted + refused) / 2;
      [accepted, refused] = isAccepted(candidate(lambda), honest, context) ? [lambda, refused] : [accepted, lambda];
    }
    return candidate(accepted);
  },
};

function isAccepted(candidate: Float32Array, honest: Float32Array, context: AttackContext): boolean {
  const { rule, lastDirection } = context;
  const updates = context.colluders();
  if (rule === 'trust' || rule === 'capped-trust') {
    const direction = lastDirection ?? honest;
    const own = updates.reduce((sum, one) => sum + cosine(one, direction), 0) / updates.length;
    return cosine(candidate, direction) >= KEPT_COSINE * own;
  }
  const furthest = Math.max(...updates.map((one) => norm(plus(one, honest, -1))));
  return norm(plus(candidate, honest, -1)) <= furthest;
}
