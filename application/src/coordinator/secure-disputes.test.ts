// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import {
  publicKeyText,
  signStatement,
  type Dispute,
  type DisputePhase,
  type OpenDispute,
  type SettleDispute,
  type VerdictStatement,
} from '@sev/chaincode/api';
import { Scene } from '../aggregator/testing/scene.js';
import type { ArbiterClient, Verdict } from '../arbiter/arbiter-client.js';
import { SevError } from '../errors.js';
import { LedgerError } from '../ledger/errors.js';
import type { ServiceSession } from '../services/rounds.js';
import { componentToAudit, isBeyondAudit } from '../services/audits.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { DisputeError } from './secure-disputes.js';
import { SHORT, ScriptedSteps, gone, silent, type Lies } from './testing/scripted.js';

const [CITY, GRID, MAKER, ARBITER] = ['CityMSP', 'GridMSP', 'MakerMSP', 'RegulatorMSP'] as const;
const TERMS = { aggregators: [CITY, GRID, MAKER], threshold: 1 };
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = publicKeyText(publicKey);

/** A dispute between the two that hold component 0. */
const about = (component: number, phase: DisputePhase, faulty?: readonly string[]): Dispute => ({
  component,
  phase,
  openedAtMs: 0,
  said: [GRID, MAKER].map((mspId) => ({ mspId, about: 'sums', hashes: [mspId] })),
  ...(faulty === undefined ? {} : { faulty }),
});

describe('Disputes', () => {
  const directory = temporaryDirectory();
  let scenes = 0;

  /** A round that is scored, and a ledger that takes disputes as the contract does. */
  async function disputed(disputes: readonly Dispute[] = [], options: { readonly arbiter?: boolean } = {}) {
    const scene = await Scene.start({ directory: `${directory()}/${String(scenes++)}` });
    await scene.open(undefined, options.arbiter === false ? undefined : KEY);
    for (const vehicleId of scene.federation.vehicleIds) {
      await scene.takePart(vehicleId);
    }
    scene.close();
    scene.fixCohort();
    scene.score(await scene.nonces(), [1, 1, 1, 1]);
    scene.federation.ledger.advance(scene.ref, {}, { disputes });
    return scene;
  }

  function sessionOf(scene: Scene, refuse?: string): ServiceSession {
    const { ledger } = scene.federation;
    const session = ledger.session(GRID);
    return {
      ...session,
      submit: (_contract, transaction, argument) => {
        if (refuse !== undefined) {
          return Promise.reject(new LedgerError(refuse, 'no'));
        }
        const { disputes, faulty } = scene.round.secure!;
        const { component, phase } = argument as OpenDispute;
        const secure =
          transaction === 'OpenDispute'
            ? { disputes: [...disputes, about(component, phase)] }
            : {
                disputes: [about(component, phase, (argument as SettleDispute).faulty)],
                faulty: [...faulty, ...(argument as SettleDispute).faulty],
              };
        const result = ledger.advance(scene.ref, {}, secure);
        return Promise.resolve({ result, transactionId: '', blockNumber: 0n, attempts: 1 });
      },
    };
  }

  /** An arbiter that finds these wrong. */
  function arbiterOf(scene: Scene, faulty: readonly string[], change: Partial<ArbiterClient> = {}) {
    const asked: Parameters<ArbiterClient['verdict']>[0][] = [];
    const { consortium } = scene.federation;
    const arbiter: ArbiterClient = {
      mspId: ARBITER,
      prepare: () => Promise.reject(new SevError('SERVICE_FAILED', 'not asked')),
      accept: () => Promise.reject(new SevError('SERVICE_FAILED', 'not asked')),
      verdict: (request): Promise<Verdict> => {
        asked.push(request);
        const { component, phase } = request;
        const content = { consortium, ...scene.ref, mspId: ARBITER, component, phase, faulty };
        const statement: VerdictStatement = { type: 'sev/verdict/v1', ...content };
        const signature = signStatement(statement, scene.federation.organisationKey(ARBITER));
        return Promise.resolve({ faulty: [...faulty], signature });
      },
      ...change,
    };
    return { arbiter, asked };
  }

  const stepsOf = (scene: Scene, arbiter?: ArbiterClient, lies: Readonly<Record<string, Lies>> = {}, refuse?: string) =>
    new ScriptedSteps(scene, lies, {
      patience: SHORT,
      session: sessionOf(scene, refuse),
      ...(arbiter === undefined ? {} : { arbiter }),
    });

  describe('settling', () => {
    it('begins from the ledger: a coordinator that knows only the dispute brings the verdict', async () => {
      const scene = await disputed([about(0, 'sums')]);
      const { arbiter, asked } = arbiterOf(scene, [GRID]);
      const script = stepsOf(scene, arbiter);
      const round = await script.steps.settle(await script.attempt());
      expect(round.secure!.faulty).to.deep.equal([GRID]);
      expect(asked[0]!.releases.map(({ mspId }) => mspId)).to.deep.equal([GRID, MAKER]);
    });

    it('does with the release of one holder where the other is gone, hangs or releases nothing', async () => {
      for (const lies of [gone, silent, { release: () => Promise.resolve({ component: 0, objects: [] }) }]) {
        const scene = await disputed([about(0, 'sums')]);
        const { arbiter, asked } = arbiterOf(scene, [GRID]);
        const script = stepsOf(scene, arbiter, { [GRID]: lies });
        await script.steps.settle(await script.attempt());
        expect(asked[0]!.releases.map(({ mspId }) => mspId)).to.deep.equal([MAKER]);
      }
    });

    it('is put off where no holder releases, or the arbiter is not there, fails or signs badly', async () => {
      const scene = await disputed([about(0, 'sums')]);
      const { arbiter } = arbiterOf(scene, [GRID]);
      const fails = arbiterOf(scene, [], { verdict: () => Promise.reject(new SevError('ARGUMENT_INVALID', 'no')) });
      const forged = arbiterOf(scene, [], { verdict: () => Promise.resolve({ faulty: [GRID], signature: 'AAAA' }) });
      const scripts = [
        stepsOf(scene, arbiter, { [GRID]: gone, [MAKER]: gone }),
        stepsOf(scene),
        stepsOf(scene, { ...arbiter, mspId: CITY }),
        stepsOf(scene, fails.arbiter),
        stepsOf(scene, forged.arbiter),
      ];
      for (const script of scripts) {
        expect(await codeOf(script.steps.settle(await script.attempt()))).to.equal('DISPUTE_UNSETTLED');
      }
      expect(scene.round.secure!.faulty).to.deep.equal([]);
    });

    it('is given up where the verdict names nobody of two that contradict each other, or no holder', async () => {
      const scene = await disputed([about(0, 'sums')]);
      for (const faulty of [[], [CITY], [MAKER, GRID]]) {
        const script = stepsOf(scene, arbiterOf(scene, faulty).arbiter);
        expect(await codeOf(script.steps.settle(await script.attempt()))).to.equal('DISPUTE_UNDECIDABLE');
      }
      const refused = stepsOf(scene, arbiterOf(scene, [GRID]).arbiter, {}, 'DISPUTE_REFUSED');
      expect(await codeOf(refused.steps.settle(await refused.attempt()))).to.equal('DISPUTE_UNDECIDABLE');
    });

    it('takes an audit that finds nobody wrong', async () => {
      const scene = await disputed([about(2, 'audit')]);
      const script = stepsOf(scene, arbiterOf(scene, []).arbiter);
      const { secure } = await script.steps.settle(await script.attempt());
      expect(secure!.disputes).to.deep.equal([about(2, 'audit', [])]);
    });
  });

  describe('a contradiction', () => {
    const contradiction = new DisputeError(
      'sums',
      { component: 0, mspIds: [GRID, MAKER] },
      { projections: [], sums: [] },
    );

    it('is shown to the ledger', async () => {
      const scene = await disputed();
      const script = stepsOf(scene);
      const { secure } = await script.steps.openDispute(await script.attempt(), contradiction);
      expect(secure!.disputes).to.deep.equal([about(0, 'sums')]);
    });

    it('is given up without an arbiter in the opening, after a verdict on it, or where the contract refuses', async () => {
      const without = await disputed([], { arbiter: false });
      const settled = await disputed([about(0, 'sums', [])]);
      const refused = await disputed();
      for (const script of [stepsOf(without), stepsOf(settled), stepsOf(refused, undefined, {}, 'DISPUTE_REFUSED')]) {
        const opening = script.steps.openDispute(await script.attempt(), contradiction);
        expect(await codeOf(opening)).to.equal('DISPUTE_UNDECIDABLE');
      }
    });
  });

  describe('an audit', () => {
    it('is opened, and dropped where the contract does not release the component', async () => {
      const scene = await disputed();
      const script = stepsOf(scene);
      const audited = await script.steps.audit(await script.attempt(), 1);
      expect(audited!.secure!.disputes).to.deep.equal([about(1, 'audit')]);
      const refused = stepsOf(scene, undefined, {}, 'DISPUTE_REFUSED');
      expect(await refused.steps.audit(await refused.attempt(), 2)).to.equal(undefined);
    });

    it('is of each component that is not verified, as long as one stays closed to the arbiter', async () => {
      const { secure } = (await disputed()).round;
      const component = (unverified: number[], disputes: Dispute[] = [], refused: number[] = []) =>
        componentToAudit({ ...secure!, unverified, disputes }, TERMS, new Set(refused));
      expect(component([])).to.equal(undefined);
      expect(component([1, 2])).to.equal(1);
      expect(component([1, 2], [about(1, 'audit', [])])).to.equal(2);
      expect(component([1, 2], [], [1])).to.equal(2);
      expect(component([2], [about(0, 'sums', []), about(1, 'audit', [])])).to.equal(undefined);
      // Released already: an audit shows the arbiter nothing more.
      expect(component([2], [about(1, 'sums', []), about(2, 'projections', [])])).to.equal(2);
      const { arbiter, ...opening } = secure!.opening;
      expect(arbiter).to.include({ mspId: ARBITER });
      const unarbitrated = { ...secure!, opening, unverified: [1] };
      expect(componentToAudit(unarbitrated, TERMS)).to.equal(undefined);
      expect(isBeyondAudit(unarbitrated, TERMS)).to.equal(true);
      expect(isBeyondAudit({ ...unarbitrated, unverified: [] }, TERMS)).to.equal(false);
      expect(isBeyondAudit({ ...secure!, unverified: [1] }, TERMS)).to.equal(false);
      expect(isBeyondAudit({ ...secure!, unverified: [1], disputes: [about(1, 'audit')] }, TERMS)).to.equal(false);
    });
  });
});
