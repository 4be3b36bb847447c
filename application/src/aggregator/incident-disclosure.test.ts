// SPDX-License-Identifier: Apache-2.0
import { INCIDENT_PROJECTIONS, type IncidentRecord } from '@sev/chaincode/api';
import {
  addTo,
  checkComponent,
  componentValues,
  project,
  projectionVectors,
  ringFromBytes,
  ringZeros,
  type RingVector,
} from '@sev/fl';
import { expect } from 'chai';
import { incidentSeed } from '../incidents/voted.js';
import { attemptKey, type AttemptRef } from '../services/attempt.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import type { IncidentDisclosure } from './aggregator-client.js';
import { Scene, type PreparedShare } from './testing/scene.js';

const ALL = ['CityMSP', 'GridMSP', 'MakerMSP'] as const;
const CITY = 'CityMSP';
const ID = 'incident-1';
const MAJORITY = ['CityMSP', 'GridMSP', 'RegulatorMSP'];

type Vectors = Extract<IncidentDisclosure, { kind: 'vectors' }>;
type Projections = Extract<IncidentDisclosure, { kind: 'projections' }>;

describe('Opening a disputed update', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  let scene: Scene;
  let shares: Map<string, PreparedShare>;
  let suspect: string;

  beforeEach(async () => {
    scene = await Scene.start({ directory: `${directory()}/${String(scenes++)}` });
    shares = await scene.toCohort();
    scene.federation.ledger.advance(scene.ref, { state: 'finalised', finalisedAtMs: Date.now() });
    suspect = scene.federation.vehicleIds[1]!;
  });

  /** The incident as the ledger shows it from now on. */
  function incident(change: Partial<IncidentRecord> = {}): IncidentRecord {
    const record: IncidentRecord = {
      docType: 'incident',
      schemaVersion: 1,
      incidentId: ID,
      taskId: scene.ref.taskId,
      vehicleId: suspect,
      disputed: [{ round: 1, attempt: 1 }],
      reason: 'for a test',
      state: 'open',
      openedBy: 'GridMSP',
      openedAtMs: 0,
      suspicionMilli: 9_000,
      decidedBy: {},
      ...change,
    };
    scene.federation.ledger.incidents.set(ID, record);
    return record;
  }
  const afterFirst = (change: Partial<IncidentRecord> = {}): IncidentRecord =>
    incident({ state: 'projections', projectionsTxId: 'tx-7', decidedBy: { projections: MAJORITY }, ...change });
  const afterSecond = (change: Partial<IncidentRecord> = {}): IncidentRecord =>
    afterFirst({ state: 'vectors', decidedBy: { projections: MAJORITY, vectors: MAJORITY }, ...change });
  const disclose = (ref: AttemptRef = scene.ref): Promise<IncidentDisclosure> => scene.at(CITY).disclose(ID, ref);

  it('gives further projections of that vehicle after the first vote, and no more than these', async () => {
    const voted = afterFirst();
    const { consortium, task } = scene.federation;
    const seed = incidentSeed(consortium, voted, scene.ref);
    const vectors = projectionVectors(seed, INCIDENT_PROJECTIONS, task.model.parameters);
    const total = ringZeros(INCIDENT_PROJECTIONS, 32);
    const seen = new Map<string, string>();
    for (const mspId of ALL) {
      const opened = (await scene.at(mspId).disclose(ID, scene.ref)) as Projections;
      expect(Object.keys(opened).sort()).to.deep.equal(['kind', 'numbers', 'seed']);
      expect(opened).to.include({ kind: 'projections', seed });
      for (const [component, numbers] of Object.entries(opened.numbers)) {
        expect(seen.get(component) ?? numbers, `the holders of component ${component} say the same`).to.equal(numbers);
        if (!seen.has(component)) {
          addTo(total, ringFromBytes(Buffer.from(numbers, 'base64'), INCIDENT_PROJECTIONS));
        }
        seen.set(component, numbers);
      }
    }
    expect(total).to.deep.equal(project(shares.get(suspect)!.vector, vectors));
  });

  it('projects along vectors that nobody knew before the vote, others for each attempt and incident', () => {
    const { consortium } = scene.federation;
    const seeds = [
      incidentSeed(consortium, afterFirst(), scene.ref),
      incidentSeed(consortium, afterFirst({ projectionsTxId: 'tx-8' }), scene.ref),
      incidentSeed(consortium, afterFirst({ incidentId: 'incident-2' }), scene.ref),
      incidentSeed(consortium, afterFirst(), { ...scene.ref, attempt: 2 }),
      incidentSeed('another network', afterFirst(), scene.ref),
    ];
    expect(new Set(seeds).size).to.equal(seeds.length);
  });

  it('gives the components after the second vote, which fit the commitments and add up to the update', async () => {
    afterSecond();
    const { vector, report } = shares.get(suspect)!;
    const total = ringZeros(vector.length, 32);
    const added = new Set<number>();
    for (const mspId of ALL) {
      const opened = (await scene.at(mspId).disclose(ID, scene.ref)) as Vectors;
      expect(opened.kind).to.equal('vectors');
      for (const { component, salt, content } of opened.components) {
        const released = { component, salt: Buffer.from(salt, 'hex'), content: Buffer.from(content, 'base64') };
        checkComponent(report.root, opened.leaves, scene.contextOf(suspect), released);
        if (!added.has(component)) {
          added.add(component);
          const values: RingVector = componentValues(released, 3, scene.contextOf(suspect), vector.length);
          addTo(total, values);
        }
      }
    }
    expect(total).to.deep.equal(vector);
  });

  it('gives what was voted for when the vehicle is found guilty, and not more', async () => {
    afterSecond({ state: 'confirmed' });
    expect((await disclose()).kind).to.equal('vectors');
    afterFirst({ state: 'confirmed' });
    expect((await disclose()).kind, 'confirmed by projections alone').to.equal('projections');
  });

  it('gives nothing before a vote is taken, nor once the vehicle is cleared', async () => {
    expect(await codeOf(disclose()), 'no such incident').to.equal('INCIDENT_UNKNOWN');
    incident();
    expect(await codeOf(disclose()), 'votes that are no majority leave it open').to.equal('INCIDENT_STATE');
    incident({ state: 'confirmed' });
    expect(await codeOf(disclose()), 'decided by no vote that opens').to.equal('INCIDENT_STATE');
    afterSecond({ state: 'cleared' });
    expect(await codeOf(disclose())).to.equal('INCIDENT_STATE');
  });

  it('gives nothing of attempts and tasks that the incident does not dispute', async () => {
    afterSecond();
    for (const other of [
      { ...scene.ref, attempt: 2 },
      { ...scene.ref, round: 2 },
      { ...scene.ref, taskId: 'price-2' },
    ]) {
      expect(await codeOf(disclose(other)), attemptKey(other)).to.equal('INCIDENT_INVALID');
    }
  });

  it('gives nothing of another vehicle, whoever asks: the incident on the ledger names it', async () => {
    afterSecond();
    const mine = shares.get(suspect)!.report.leaves;
    for (const mspId of ALL) {
      const opened = (await scene.at(mspId).disclose(ID, scene.ref)) as Vectors;
      expect(opened.leaves).to.deep.equal(mine);
    }
    afterSecond({ vehicleId: 'v-0000000000000000000000' });
    expect(await codeOf(disclose()), 'a vehicle that is not in the cohort').to.equal('INCIDENT_INVALID');
  });

  it('gives nothing while the round is under way', async () => {
    afterSecond();
    for (const state of ['closed', 'cohort', 'scored', 'aggregated'] as const) {
      scene.federation.ledger.advance(scene.ref, { state });
      expect(await codeOf(disclose()), state).to.equal('ROUND_STATE');
    }
    scene.federation.ledger.rounds.delete(1);
    expect(await codeOf(disclose()), 'a round that its ledger does not show').to.equal('ROUND_STATE');
  });

  it('is of an attempt that another one followed, too', async () => {
    afterSecond();
    scene.federation.ledger.advance(scene.ref, { attempt: 2, state: 'open' });
    expect((await disclose()).kind).to.equal('vectors');
  });

  it('says that it cannot where its share is lost', async () => {
    afterSecond();
    await scene.restart(CITY, { retentionMs: 0 });
    incident({ state: 'cleared' });
    await scene.at(CITY).clean(Date.now() + 1_000);
    afterSecond();
    expect(await codeOf(disclose())).to.equal('ATTEMPT_UNKNOWN');
  });
});
