// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { Change, ConsortiumRecord, Organisation, ProposalRecord, ProposalView, RoundRecord } from '../api';
import { CITY, GRID, MAKER, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet, enrollmentOf, enroll, newVehicle } from '../testing/fleet';
import { identity, signingKey } from '../testing/identities';
import { INITIAL_MODEL, ROUND_1, RoundDriver, taskOf } from '../testing/learning';
import { expectRefusal } from '../testing/refusal';

const UTILITY = 'UtilityMSP';
const OTHERS = [MAKER, CITY, REGULATOR];

let consortium: TestConsortium;
let driver: RoundDriver;
beforeEach(async () => {
  consortium = await TestConsortium.bootstrapped();
  consortium.signingKeys.set(UTILITY, signingKey());
  driver = new RoundDriver(consortium);
});

let proposals = 0;
const nextId = (): string => `p-${String((proposals += 1))}`;
const propose = (change: Change, by: string, proposalId = nextId()): Promise<ProposalRecord> =>
  consortium.submit('governance:Propose', { proposalId, change }, by, 'operator');
const vote = (proposalId: string, by: string, approve = true): Promise<ProposalRecord> =>
  consortium.submit('governance:Vote', { proposalId, approve }, by, 'operator');
const execute = (proposalId: string, by: string): Promise<ProposalRecord> =>
  consortium.submit('governance:Execute', { proposalId }, by, 'operator');
const withdraw = (proposalId: string, by: string): Promise<ProposalRecord> =>
  consortium.submit('governance:Withdraw', { proposalId }, by, 'operator');
const viewOf = (proposalId: string): Promise<ProposalView> =>
  consortium.evaluate('governance:GetProposal', { proposalId }, CITY);
/** The first proposes, the others vote for it, the first executes. */
async function decide(change: Change, by: readonly string[]): Promise<ProposalRecord> {
  const [first = GRID, ...others] = by;
  const { proposalId } = await propose(change, first);
  for (const mspId of others) {
    await vote(proposalId, mspId);
  }
  return execute(proposalId, first);
}
const utility = (change: Partial<Organisation> = {}): Organisation => ({
  ...consortium.organisation(UTILITY),
  name: 'utility',
  ...change,
});
const admit = (organisation = utility(), by: readonly string[] = [GRID, CITY, MAKER]): Promise<ProposalRecord> =>
  decide({ kind: 'admit-organisation', organisation }, by);
const remove = (mspId: string, by: readonly string[]): Promise<ProposalRecord> =>
  decide({ kind: 'remove-organisation', mspId }, by);
const members = async (): Promise<string[]> => {
  const record = await consortium.evaluate<ConsortiumRecord>('governance:GetConsortium', {}, CITY);
  return record.organisations.map(({ mspId }) => mspId);
};

describe('Admitting an organisation', () => {
  it('makes it the fifth member with all rights and raises the majority', async () => {
    const task = { taskId: 'x' };
    await expectRefusal(consortium.evaluate('learning:GetTask', task, UTILITY, 'operator'), 'CALLER_UNKNOWN');
    await admit();
    expect(await members()).to.have.members([GRID, MAKER, CITY, REGULATOR, UTILITY]);
    await expectRefusal(remove(REGULATOR, [GRID, UTILITY]), 'PROPOSAL_NOT_ACCEPTED');
    expect(await remove(REGULATOR, [UTILITY, CITY, GRID])).to.include({ state: 'executed' });
  });

  it('lets its vehicles take part and its statements count', async () => {
    await admit();
    const maker = { makerKeyId: 'maker-1', key: consortium.makerKey };
    const vehicles = [newVehicle(), newVehicle()];
    const items = vehicles.map((vehicle, slot) => enrollmentOf(consortium, vehicle, { slot, mspId: UTILITY, maker }));
    const { results } = await enroll(consortium, items, { mspId: UTILITY });
    expect(results.every(({ accepted }) => accepted)).to.equal(true);
    await driver.openFirst();
    const recorded = await driver.record(driver.envelopes(vehicles));
    expect(recorded.results.every(({ accepted }) => accepted)).to.equal(true);
    await expectRefusal(driver.close([GRID, CITY]), 'STATEMENTS_INSUFFICIENT');
    expect(await driver.close([GRID, CITY, UTILITY])).to.include({ state: 'closed' });
  });

  it('is refused for a member, and under a name or signing key of one', async () => {
    await expectRefusal(admit(consortium.organisation(CITY)), 'ORGANISATION_CONFLICT');
    await expectRefusal(admit(utility({ name: 'city' })), 'ARGUMENT_INVALID');
    const { signingKey: key } = consortium.organisation(CITY);
    await expectRefusal(admit(utility({ signingKey: key })), 'ARGUMENT_INVALID');
    const change: Change = { kind: 'admit-organisation', organisation: utility({ signingKey: 'A'.repeat(120) }) };
    await expectRefusal(propose(change, GRID), 'ARGUMENT_INVALID');
  });

  it('is not what put-organisation does: that changes members only', async () => {
    const change: Change = { kind: 'put-organisation', organisation: utility() };
    await expectRefusal(decide(change, [GRID, CITY, MAKER]), 'ORGANISATION_UNKNOWN');
  });
});

describe('Removing an organisation', () => {
  it('leaves the others to decide by their own majority', async () => {
    await remove(GRID, OTHERS);
    expect(await members()).to.have.members(OTHERS);
    await expectRefusal(propose({ kind: 'remove-maker', makerKeyId: 'maker-1' }, GRID), 'CALLER_UNKNOWN');
    await remove(REGULATOR, [MAKER, CITY]);
    expect(await members()).to.have.members([MAKER, CITY]);
  });

  it('takes its vehicles out of every round, without touching their records', async () => {
    const [vehicle] = await enrolledFleet(consortium, 1);
    await driver.openFirst();
    const { vehicleId } = vehicle!;
    const before = await consortium.evaluate('registry:GetVehicle', { vehicleId });
    await remove(MAKER, [GRID, CITY, REGULATOR]);
    const { results } = await driver.record(driver.envelopes([vehicle!]));
    expect(results[0]?.code).to.equal('ORGANISATION_UNKNOWN');
    expect(await consortium.evaluate('registry:GetVehicle', { vehicleId })).to.deep.equal(before);
  });

  it('waits for nothing of its own: its rounds go on with the others, its proposals are theirs to decide', async () => {
    const fleet = await enrolledFleet(consortium, 2);
    await driver.openFirst();
    await driver.record(driver.envelopes(fleet));
    const { proposalId } = await propose({ kind: 'remove-maker', makerKeyId: 'maker-1' }, GRID);
    expect(await remove(GRID, OTHERS)).to.include({ state: 'executed' });
    const closing = { ...ROUND_1, statements: driver.closeStatements([CITY, REGULATOR]) };
    const closed = await consortium.submit<RoundRecord>('learning:CloseRound', closing, CITY, 'coordinator');
    expect(closed).to.include({ state: 'closed', openedBy: GRID });
    const statements = driver.abortStatements([CITY, REGULATOR], 'OPERATOR');
    const abort = { ...ROUND_1, reason: 'OPERATOR', statements };
    expect(await consortium.submit('learning:AbortRound', abort, CITY, 'coordinator')).to.include({ state: 'aborted' });
    expect((await viewOf(proposalId)).votes).to.deep.equal([]);
    await vote(proposalId, CITY, false);
    await vote(proposalId, REGULATOR, false);
    expect(await withdraw(proposalId, CITY)).to.include({ state: 'withdrawn' });
  });

  it('is not held up by what it submits meanwhile: no task, round, proposal or vote of its own conflicts', async () => {
    await driver.coordinate('CreateTask', taskOf());
    const { proposalId } = await propose({ kind: 'remove-organisation', mspId: GRID }, CITY);
    await vote(proposalId, MAKER);
    await vote(proposalId, REGULATOR);
    const operator = await identity(CITY, 'operator');
    const removal = await consortium.simulate('governance:Execute', { proposalId }, operator);
    await driver.coordinate('CreateTask', taskOf({ taskId: 'price-2' }));
    await driver.coordinate('OpenRound', { ...ROUND_1, baseModelHash: INITIAL_MODEL });
    await propose({ kind: 'remove-maker', makerKeyId: 'maker-1' }, GRID);
    await vote(proposalId, GRID, false);
    expect(consortium.commit(removal)).to.equal('VALID');
    expect(await members()).to.have.members(OTHERS);
  });

  it('counts its own vote where the others alone are too few', async () => {
    const { proposalId } = await propose({ kind: 'remove-organisation', mspId: GRID }, CITY);
    await vote(proposalId, MAKER);
    await expectRefusal(execute(proposalId, CITY), 'PROPOSAL_NOT_ACCEPTED');
    await vote(proposalId, GRID);
    expect(await execute(proposalId, CITY)).to.include({ state: 'executed' });
  });

  it('ends its votes for good: they do not count again when it is admitted again', async () => {
    const { proposalId } = await propose({ kind: 'remove-maker', makerKeyId: 'maker-1' }, CITY);
    await vote(proposalId, GRID);
    await remove(GRID, OTHERS);
    expect((await viewOf(proposalId)).votes.map(({ mspId }) => mspId)).to.deep.equal([CITY]);
    await admit(consortium.organisation(GRID), OTHERS);
    expect((await viewOf(proposalId)).votes.map(({ mspId }) => mspId)).to.deep.equal([CITY]);
    await vote(proposalId, REGULATOR);
    await expectRefusal(execute(proposalId, CITY), 'PROPOSAL_NOT_ACCEPTED');
    await vote(proposalId, GRID);
    expect(await execute(proposalId, CITY)).to.include({ state: 'executed' });
  });
});

describe('governance:Withdraw', () => {
  const change: Change = { kind: 'remove-maker', makerKeyId: 'maker-1' };

  it('closes a proposal for good, and repeated changes nothing', async () => {
    const { proposalId } = await propose(change, GRID);
    expect(await withdraw(proposalId, GRID)).to.include({ state: 'withdrawn' });
    const again = await consortium.simulate('governance:Withdraw', { proposalId }, await identity(CITY, 'operator'));
    expect(again.result).to.include({ state: 'withdrawn' });
    expect(again.stub.writes.size).to.equal(0);
    await expectRefusal(vote(proposalId, CITY), 'PROPOSAL_WITHDRAWN');
    await expectRefusal(execute(proposalId, GRID), 'PROPOSAL_WITHDRAWN');
  });

  it('is for the proposer, and for others once a majority is against', async () => {
    const { proposalId } = await propose(change, GRID);
    await vote(proposalId, CITY, false);
    await vote(proposalId, MAKER, false);
    await expectRefusal(withdraw(proposalId, CITY), 'PROPOSAL_NOT_REJECTED');
    await vote(proposalId, REGULATOR, false);
    expect(await withdraw(proposalId, CITY)).to.include({ state: 'withdrawn' });
  });

  it('undoes nothing', async () => {
    const { proposalId } = await decide(change, [GRID, CITY, MAKER]);
    await expectRefusal(withdraw(proposalId, GRID), 'PROPOSAL_EXECUTED');
    await expectRefusal(withdraw('p-0', GRID), 'PROPOSAL_UNKNOWN');
  });
});
