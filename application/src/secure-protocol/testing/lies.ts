// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import {
  basisOf,
  decodeBitmap,
  encodeBitmap,
  sha256Hex,
  signStatement,
  type HoldingsStatement,
  type ProjectionsStatement,
  type RoundRecord,
  type Signable,
  type SumsStatement,
} from '@sev/chaincode/api';
import type { Random } from '@sev/fl';
import type {
  Deal,
  OpenedProjections,
  PreparedPart,
  Release,
  Revealed,
  SignedHoldings,
  SignedSums,
} from '../../aggregator/aggregator-client.js';
import { SevError } from '../../errors.js';
import { attemptOf, type AttemptRef } from '../../services/attempt.js';
import { updatesOf } from '../../services/rounds.js';
import { cohortHash } from '@sev/chaincode/api';
import type { SecureBed } from '../../testing/secure-bed.js';
import type { Around, Call } from '../../testing/secure-bed-around.js';

/** A lying aggregator: what it can do with its organisation's key, and whom it is. */
export class Liar {
  readonly bed: SecureBed;
  readonly mspId: string;
  readonly random: Random;

  constructor(bed: SecureBed, mspId: string, random: Random) {
    this.bed = bed;
    this.mspId = mspId;
    this.random = random;
  }

  sign(statement: Signable): string {
    return signStatement(statement, this.bed.signingKeyOf(this.mspId));
  }

  /** Fields that every statement about an attempt has. */
  place(ref: AttemptRef) {
    return { consortium: this.bed.consortium.bootstrapHash, ...attemptOf(ref), mspId: this.mspId };
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.below(items.length)]!;
  }

  round(ref: AttemptRef): Promise<RoundRecord> {
    return this.bed.learning.round(ref);
  }

  signSums(ref: AttemptRef, scoresHash: string, components: SignedSums['components']): SignedSums {
    const statement: SumsStatement = { type: 'sev/component-sums/v1', ...this.place(ref), scoresHash, components };
    return { mspId: this.mspId, components, signature: this.sign(statement) };
  }

  signProjections(
    ref: AttemptRef,
    cohort: string,
    { seed, numbers }: Pick<OpenedProjections, 'seed' | 'numbers'>,
    references?: readonly string[],
  ): OpenedProjections {
    const hashes = Object.entries(numbers).map(([c, text]) => [c, sha256Hex(Buffer.from(text, 'base64'))]);
    const components = Object.fromEntries(hashes) as Record<string, string>;
    const content = { ...this.place(ref), cohortHash: cohort, ...basisOf(seed, references), components };
    const statement: ProjectionsStatement = { type: 'sev/projections/v1', ...content };
    return { signed: { mspId: this.mspId, components, signature: this.sign(statement) }, seed, numbers };
  }
}

/** How a lie shows on the ledger: by a verdict, by a contradicted receipt, or by nothing that others could prove. */
export type Named = 'faulty' | 'contradicted' | 'not on the ledger';

export interface Lie {
  readonly name: string;
  readonly named: Named;
  readonly around: (liar: Liar) => Around;
}

/** Bytes of a report's length that are no sum of anything. */
function madeUp(liar: Liar): Uint8Array {
  return randomBytes(4 * (liar.bed.task.model.parameters + liar.bed.task.secure!.metrics.length));
}

/** Sums of one component are others, in every statement and in the store. */
export function wrongSums(component?: string, lie?: Uint8Array): Lie['around'] {
  return (liar) => {
    const bytes = lie ?? madeUp(liar);
    return async ({ method, args, proceed }) => {
      const ref = args[0] as AttemptRef;
      if (method === 'publish') {
        liar.bed.plant(bytes);
        return proceed().catch(() => ({}));
      }
      if (method !== 'sums') {
        return proceed();
      }
      const honest = (await proceed()) as SignedSums;
      const chosen = component ?? Object.keys(honest.components)[0]!;
      const { secure } = await liar.round(ref);
      return liar.signSums(ref, secure?.scoresHash ?? '', { ...honest.components, [chosen]: [sha256Hex(bytes)] });
    };
  };
}

function altered(text: string): string {
  const bytes = Buffer.from(text, 'base64');
  bytes.writeUInt32LE((bytes.readUInt32LE(0) + 77) >>> 0, 0);
  return bytes.toString('base64');
}

const wrongProjections: Lie['around'] =
  (liar) =>
  async ({ method, args, proceed }) => {
    const answer = await proceed();
    if (method !== 'projections') {
      return answer;
    }
    const { seed, numbers } = answer as OpenedProjections;
    const ref = args[0] as AttemptRef;
    const chosen = Object.keys(numbers)[0]!;
    const { secure } = await liar.round(ref);
    const others = { ...numbers, [chosen]: altered(numbers[chosen]!) };
    const references = args[2] as readonly string[] | undefined;
    return liar.signProjections(ref, secure?.cohortHash ?? '', { seed, numbers: others }, references);
  };

/** Says that it lacks the first recorded vehicle, whose receipt it signed. */
async function denial(liar: Liar, call: Call): Promise<SignedHoldings> {
  const honest = (await call.proceed()) as SignedHoldings;
  const ref = call.args[0] as AttemptRef;
  const updates = await updatesOf(liar.bed.learning, ref);
  updates.sort((a, b) => (a.vehicleId < b.vehicleId ? -1 : 1));
  const bits = decodeBitmap(honest.held, updates.length)!;
  const held = encodeBitmap(bits.map((bit, index) => bit && index > 0));
  const recordedHash = cohortHash(updates);
  const statement: HoldingsStatement = { type: 'sev/holdings/v1', ...liar.place(ref), recordedHash, held };
  return { mspId: liar.mspId, held, signature: liar.sign(statement) };
}

const on =
  (method: string, lie: (call: Call, liar: Liar) => unknown): Lie['around'] =>
  (liar) =>
  (call) =>
    method === call.method ? Promise.resolve(lie(call, liar)) : call.proceed();

/** One of the calls that a coordinator makes, drawn once for a liar. */
const SOMEWHERE = ['prepare', 'deal', 'accept', 'holdings', 'reveal', 'projections', 'sums', 'publish'] as const;
const somewhere =
  (lie: (call: Call, liar: Liar) => unknown): Lie['around'] =>
  (liar) =>
    on(liar.pick(SOMEWHERE), lie)(liar);

const withOtherSignature = (liar: Liar, value: unknown): unknown => {
  const signature = liar.sign({ type: 'sev/close-round/v1', ...liar.place({ taskId: 'other', round: 1, attempt: 1 }) });
  const copy = structuredClone(value) as { signature?: string; signed?: { signature: string } };
  return copy.signed === undefined ? { ...copy, signature } : { ...copy, signed: { ...copy.signed, signature } };
};

/** What one aggregator can do wrong, alone, in a task with projections. */
export const LIES: readonly Lie[] = [
  { name: 'signs and publishes another sum', named: 'faulty', around: wrongSums() },
  { name: 'signs other projections', named: 'faulty', around: wrongProjections },
  {
    name: 'alters a share before it projects and sums',
    named: 'faulty',
    around: (liar) => {
      const projections = wrongProjections(liar);
      const sums = wrongSums()(liar);
      return (call) => (call.method === 'projections' ? projections(call) : sums(call));
    },
  },
  {
    name: 'shows other numbers than it signed',
    named: 'not on the ledger',
    around: on('projections', async ({ proceed }) => {
      const answer = (await proceed()) as OpenedProjections;
      const [first] = Object.keys(answer.numbers);
      return { ...answer, numbers: { ...answer.numbers, [first!]: altered(answer.numbers[first!]!) } };
    }),
  },
  {
    name: 'denies a share that it gave a receipt for',
    named: 'contradicted',
    around: on('holdings', (call, liar) => denial(liar, call)),
  },
  {
    name: 'signs two different holdings in turn',
    named: 'not on the ledger',
    around: (liar) => {
      let asked = 0;
      return on('holdings', (call) => (asked++ % 2 === 0 ? denial(liar, call) : call.proceed()))(liar);
    },
  },
  {
    name: 'withholds all nonces',
    named: 'not on the ledger',
    around: on('reveal', () => ({ nonces: {} }) satisfies Revealed),
  },
  {
    name: 'shows other nonces',
    named: 'not on the ledger',
    around: on('reveal', async ({ proceed }) => {
      const { nonces, ...others } = (await proceed()) as Revealed;
      const made = Object.entries(nonces).map(([mspId, components]) => [
        mspId,
        Object.fromEntries(Object.keys(components).map((c) => [c, randomBytes(32).toString('hex')])),
      ]);
      return { ...others, nonces: Object.fromEntries(made) as Revealed['nonces'] };
    }),
  },
  {
    name: 'deals what does not open',
    named: 'not on the ledger',
    around: on('deal', async ({ proceed }) =>
      ((await proceed()) as Deal[]).map((deal) => ({ ...deal, sealed: randomBytes(400).toString('base64') })),
    ),
  },
  { name: 'deals nothing', named: 'not on the ledger', around: on('deal', () => []) },
  {
    name: 'changes its part after it signed it',
    named: 'not on the ledger',
    around: on('prepare', async ({ proceed }) => {
      const { part, signature } = (await proceed()) as PreparedPart;
      const nonceLeaves = part.nonceLeaves.map(() => randomBytes(32).toString('hex'));
      return { part: { ...part, nonceLeaves }, signature };
    }),
  },
  {
    name: 'signs something else',
    named: 'not on the ledger',
    around: (liar) => {
      const method = liar.pick(['accept', 'holdings', 'projections', 'sums', 'submitShare']);
      return on(method, async ({ proceed }) => withOtherSignature(liar, await proceed()))(liar);
    },
  },
  { name: 'does not publish', named: 'not on the ledger', around: on('publish', () => ({})) },
  {
    name: 'publishes other bytes',
    named: 'not on the ledger',
    around: on('publish', (_, liar) => {
      liar.bed.plant(madeUp(liar));
      return {};
    }),
  },
  {
    name: 'releases other bytes in a dispute that it lost',
    named: 'faulty',
    around: (liar) => {
      const sums = wrongSums()(liar);
      return async (call) => {
        if (call.method !== 'release') {
          return sums(call);
        }
        const component = call.args[1] as number;
        return { component, objects: [liar.bed.plant(randomBytes(512))] } satisfies Release;
      };
    },
  },
  {
    name: 'pretends that its gateway lags behind',
    named: 'not on the ledger',
    around: somewhere(() => Promise.reject(new SevError('ROUND_STATE', 'the ledger does not show it yet'))),
  },
  {
    name: 'never answers',
    named: 'not on the ledger',
    around: somewhere((_, liar) => liar.bed.clock.idleWith(new Promise(() => undefined))),
  },
  {
    name: 'answers with nonsense',
    named: 'not on the ledger',
    // As the client on the caller's side says where an answer has not its form.
    around: somewhere(() => Promise.reject(new SevError('SERVICE_ANSWER_MALFORMED', 'not an answer'))),
  },
  {
    name: 'fails with a code of its choice',
    named: 'not on the ledger',
    around: somewhere((_, liar) =>
      Promise.reject(new SevError(liar.pick(['ACCESS_DENIED', 'STATEMENTS_INSUFFICIENT', 'COHORT_TOO_SMALL']), 'no')),
    ),
  },
  {
    name: 'keeps the shares that it is sent and gives no receipt',
    named: 'not on the ledger',
    around: on('submitShare', async ({ proceed }, liar) => {
      await proceed();
      return liar.bed.clock.idleWith(new Promise(() => undefined));
    }),
  },
  {
    name: 'takes no shares',
    named: 'not on the ledger',
    around: on('submitShare', () => Promise.reject(new SevError('SERVICE_BUSY', 'no room'))),
  },
];
