// SPDX-License-Identifier: Apache-2.0
import type { IncidentStep, SecureTerms } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { parametersFromBytes } from '@sev/fl';
import { expect } from 'chai';
import { traceIncident } from '../auditor/trace/trace-incident.js';
import { traceModel } from '../auditor/trace/trace-model.js';
import { traceVehicle } from '../auditor/trace/trace-vehicle.js';
import { correctAfter, type Corrected } from '../incidents/correct.js';
import { DisputedUpdates } from '../incidents/disputed-updates.js';
import { gatherEvidence, insistOnBorneOut, insistOnSameFindings, type Evidence } from '../incidents/evidence.js';
import { OwnMeasurer, type CorrectionMeasurer } from '../incidents/measurer.js';
import { incidents } from '../ledger/incidents.js';
import { rewards } from '../ledger/rewards.js';
import { collect } from '../services/rounds.js';
import { validationDataOf } from '../testing/secure-bed-consortium.js';
import { SecureBed } from '../testing/secure-bed.js';
import { codeOf } from '../testing/temporary.js';

const ALL = [CITY, GRID, MAKER, REGULATOR];
const ID = 'incident-1';
const ROUNDS = 3;
const CULPRIT = 2;
const judged: Partial<SecureTerms> = {
  projections: 8,
  rule: 'norm-scaling',
  openedShareMilli: 250,
  validation: { validators: ALL, pastRounds: 0, quarantineMilli: 1_000_000 },
};

describe('an incident', () => {
  let bed: SecureBed;
  afterEach(() => bed.stop());

  const role = (mspId: string): string => (mspId === REGULATOR ? 'auditor' : 'operator');
  const as = async (mspId: string) => bed.session(mspId, role(mspId));
  const disclosers = () => bed.aggregatorIds.map((mspId) => bed.client(mspId));
  const suspect = (): string => bed.fleet.vehicles[CULPRIT]!.vehicleId;

  async function afterRounds(): Promise<void> {
    bed = await SecureBed.start({
      terms: judged,
      plannedRounds: ROUNDS + 1,
      rewards: { poolMicro: 1_000_000, vestingRounds: 2 },
    });
    bed.fleet.stretch = (index) => (index === CULPRIT ? -3 : 1);
    await bed.run({ lastRound: ROUNDS });
  }

  async function opened(): Promise<void> {
    const disputed = [1, 2, 3].map((round) => ({ round, attempt: 1 }));
    const argument = { incidentId: ID, taskId: bed.task.taskId, vehicleId: suspect(), disputed, reason: 'for a test' };
    await incidents(await as(GRID)).open(argument);
  }

  async function vote(step: IncidentStep, mspIds: readonly string[], findingsHash?: string): Promise<void> {
    for (const mspId of mspIds) {
      const findings = findingsHash === undefined ? {} : { findingsHash };
      await incidents(await as(mspId)).vote({ incidentId: ID, step, approve: true, ...findings });
    }
  }

  /** Everything that one organisation sees of it, by its own gateway. */
  async function evidenceAt(mspId: string): Promise<Evidence> {
    const updates = await DisputedUpdates.of(ID, await as(mspId), disclosers());
    return gatherEvidence(updates, (hash) => bed.store.get(hash));
  }
  const working = <T>(work: () => Promise<T>): Promise<T> => bed.clock.busyWith(work);

  async function measurers(aggregators = disclosers()): Promise<CorrectionMeasurer[]> {
    return Promise.all(
      ALL.map(async (mspId) => {
        const session = await bed.session(mspId, 'attester');
        const data = validationDataOf(bed.task, mspId)!;
        const log = bed.log.of(`attester of ${mspId}`);
        const others = { store: bed.store, signer: bed.signer(mspId), aggregators };
        return new OwnMeasurer({ session, data, log, ...others });
      }),
    );
  }

  it('opens nothing but what a majority with the regulator voted for, and everybody finds the same', async () => {
    await afterRounds();
    await working(async () => {
      await opened();
      const ref = { taskId: bed.task.taskId, round: 1, attempt: 1 };
      const ask = (mspId = CITY, attempt = ref) => codeOf(bed.client(mspId).disclose(ID, attempt));
      await vote('projections', [CITY, GRID, MAKER]);
      expect(await ask(), 'a majority without the regulator').to.equal('INCIDENT_STATE');
      await vote('projections', [REGULATOR]);
      expect(await ask(CITY, { ...ref, attempt: 2 })).to.equal('INCIDENT_INVALID');

      const first = await evidenceAt(GRID);
      expect(first.findings.updates.map(({ round }) => round)).to.deep.equal([1, 2, 3]);
      expect(first.findings.updates[0]).not.to.have.property('vectorHash');
      expect((await evidenceAt(REGULATOR)).hash).to.equal(first.hash);

      await vote('vectors', [CITY, REGULATOR]);
      expect((await bed.client(CITY).disclose(ID, ref)).kind, 'two of four are no majority').to.equal('projections');
      await vote('vectors', [GRID]);
      const second = await evidenceAt(GRID);
      const report = bed.fleet.updateOf(CULPRIT, 1);
      const length = Math.hypot(...report.map((value) => 3 * value)) / 2_048;
      expect(second.findings.updates[0]!.normMilli).to.equal(Math.round(1_000 * length));
      expect(first.findings.updates[0]!.normMilli / second.findings.updates[0]!.normMilli).to.be.within(0.6, 1.4);
      expect(() => {
        insistOnSameFindings(second, first.hash);
      }).to.throw('not');
    });
  });

  it('that is confirmed takes the culprit out of the model, its rewards back, and its part in further rounds', async () => {
    await afterRounds();
    const corrected = await working(async () => {
      await opened();
      await vote('projections', [CITY, GRID, REGULATOR]);
      await vote('vectors', [CITY, GRID, REGULATOR]);
      const { hash } = await evidenceAt(CITY);
      await vote('confirm', [CITY, GRID, REGULATOR], hash);
      const session = await as(GRID);
      const options = { incidentId: ID, session, store: bed.store, aggregators: disclosers() };
      await expectNoForcedRollback();
      return correctAfter({ ...options, measurers: await measurers() });
    });
    await expectWithoutCulprit(corrected);
    await bed.run({ lastRound: ROUNDS + 1 });
    const next = await bed.round(ROUNDS + 1);
    expect(next.state).to.equal('finalised');
    expect(next.baseModelHash).to.equal(corrected.record.modelHash);
    expect(next.secure!.cohortSize, 'the culprit is out').to.equal(bed.fleet.vehicles.length - 1);
    const { members } = await bed.learning.cohort({ taskId: bed.task.taskId, round: ROUNDS + 1, attempt: 1 });
    expect(members.map(({ vehicleId }) => vehicleId)).not.to.include(suspect());
    await expectPaid();
    await expectTraced(next.proposal!.modelHash);
  });

  /** From the newest model back to the culprit, and from the culprit and the incident to all that they touched. */
  async function expectTraced(modelHash: string): Promise<void> {
    const session = await as(REGULATOR);
    const byModel = await traceModel(session, modelHash);
    expect(byModel.rounds.map(({ round }) => round)).to.deep.equal([4, 3, 2, 1]);
    expect(byModel.rounds[0]!.attestedBy).to.include(GRID);
    expect(byModel.corrections.map(({ incidentId }) => incidentId)).to.deep.equal([ID]);
    const culprit = byModel.contributors.find(({ vehicleId }) => vehicleId === suspect())!;
    expect(culprit).to.include({ enrolledBy: MAKER, maker: MAKER, status: 'revoked' });
    expect(culprit.rounds).to.deep.equal([1, 2, 3]);
    expect(culprit.incidents).to.deep.equal([{ incidentId: ID, taskId: bed.task.taskId, state: 'confirmed' }]);

    const byVehicle = await traceVehicle(session, suspect());
    expect(byVehicle.statuses.map(({ status }) => status)).to.deep.equal(['active', 'revoked']);
    const [task] = byVehicle.tasks;
    expect(task!.rounds.map(({ round }) => round)).to.deep.equal([1, 2, 3]);
    expect(task!.rounds.at(-1)!.modelHash).to.equal((await bed.round(3)).proposal!.modelHash);
    expect(byVehicle.incidents.map(({ incidentId }) => incidentId)).to.deep.equal([ID]);

    const { findings, hash } = await evidenceAt(REGULATOR);
    const byIncident = await traceIncident(session, ID, { findings, hash });
    expect(byIncident.hasFindings).to.equal(true);
    expect(byIncident.disputes.map(({ finding }) => finding?.vectorHash)).to.deep.equal(
      findings.updates.map(({ vectorHash }) => vectorHash),
    );
    expect(byIncident.correction!.modelHash).to.equal(byIncident.incident.correctedWith);
    expect(byIncident.movements.every(({ kind }) => kind === 'forfeit')).to.equal(true);
    const other = await traceIncident(session, ID, { findings, hash: '0'.repeat(64) });
    expect(other.hasFindings, 'findings that it was not decided on').to.equal(false);
  }

  /** Rounds are paid by the coordinator; of those that had not vested the culprit keeps nothing. */
  async function expectPaid(): Promise<void> {
    const contract = rewards(await as(GRID));
    const [paid, journal] = await Promise.all([
      collect(contract.paidRounds(bed.task.taskId)),
      collect(contract.journal(bed.task.taskId)),
    ]);
    expect(paid.map(({ round }) => round)).to.deep.equal([1, 2, 3, 4]);
    expect(journal.filter(({ kind }) => kind === 'reward').length).to.be.greaterThan(0);
    const own = journal.filter(({ vehicleId, vestsAtRound }) => vehicleId === suspect() && vestsAtRound > ROUNDS);
    const rounds = (kind: string): number[] => own.filter((entry) => entry.kind === kind).map(({ round }) => round);
    expect(rounds('forfeit')).to.deep.equal(rounds('reward'));
  }

  /** Who asks does not decide that nothing can be taken out; who finds it so itself goes back. */
  async function expectNoForcedRollback(): Promise<void> {
    const request = { incidentId: ID, afterRound: ROUNDS, takenOut: 0 };
    const [able] = await measurers();
    expect(await codeOf(able!.measure(request))).to.equal('CANDIDATE_POSSIBLE');
    const [unable] = await measurers([]);
    const { rollbackHash, candidateHash } = await unable!.measure(request);
    expect(candidateHash).to.equal(rollbackHash);
  }

  async function expectWithoutCulprit({ record, corrections, candidate, tried, unmeasured }: Corrected): Promise<void> {
    expect(unmeasured).to.deep.equal([]);
    expect(record).to.include({ afterRound: ROUNDS, cleanRound: 0, incidentId: ID });
    expect(record.attestedBy).to.deep.equal(ALL);
    expect(record.rollbackHash).to.equal(bed.task.model.initialModelHash);
    expect(tried.map(({ takenOut }) => takenOut)).to.deep.equal([1, 2, 3]);
    const least = Math.min(...tried.map(({ lossMicro }) => lossMicro));
    expect(tried[candidate.takenOut - 1]!.lossMicro).to.equal(least);
    const read = async (hash: string) => parametersFromBytes(await bed.store.get(hash), bed.task.model.parameters);
    let expected = await read(record.rollbackHash);
    for (let round = 1; round <= ROUNDS; round++) {
      const { scores } = await bed.learning.scores({ taskId: bed.task.taskId, round, attempt: 1 });
      const isOut = round > ROUNDS - candidate.takenOut;
      const factors = scores.weights.map((weight, index) => (index !== CULPRIT ? weight : isOut ? 0 : -3 * weight));
      const total = scores.weights.reduce((sum, weight, index) => sum + (index === CULPRIT && isOut ? 0 : weight), 0);
      expected = expected.map((value, i) => {
        const sum = factors.reduce((all, factor, index) => all + factor * bed.fleet.updateOf(index, round)[i]!, 0);
        return value + sum / (total * 2_048);
      });
      expect(corrections.parts[round - 1]!.weight).to.equal(scores.weights[CULPRIT]);
    }
    expect(await read(record.candidateHash)).to.deep.equal(expected);
  }

  it('says what rests on one aggregator alone, and believes none that contradict each other', async () => {
    await afterRounds();
    await working(async () => {
      await opened();
      await vote('projections', [CITY, GRID, REGULATOR]);
      bed.crashed.add(MAKER);
      const evidence = await evidenceAt(GRID);
      expect(evidence.sources[0]!.silent.map(({ mspId }) => mspId)).to.deep.equal([MAKER]);
      expect(evidence.sources[0]!.alone, 'held by city and grid alone').to.deep.equal([0, 1]);
      expect(() => {
        insistOnBorneOut(evidence);
      }).to.throw('one aggregator alone');
      bed.crashed.delete(MAKER);
      insistOnBorneOut(await evidenceAt(GRID));
      bed.around.set(GRID, async ({ method, proceed }) => {
        const answer = (await proceed()) as { numbers: Record<string, string> };
        return method === 'disclose'
          ? { ...answer, numbers: { ...answer.numbers, 2: changed(answer.numbers) } }
          : answer;
      });
      expect(await codeOf(evidenceAt(REGULATOR))).to.equal('EVIDENCE_DISAGREES');
    });
  });

  function changed(numbers: Record<string, string>): string {
    const bytes = Buffer.from(numbers['2']!, 'base64');
    bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
    return bytes.toString('base64');
  }
});
