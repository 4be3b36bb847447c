// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import {
  hashOf,
  type Bootstrap,
  type Change,
  type ConsortiumRecord,
  type Page,
  type ProposalRecord,
  type ProposalView,
  type VehicleRecord,
} from '../api';
import { CITY, GRID, MAKER, MSPS, REGULATOR, TestConsortium } from '../testing/consortium';
import { enrolledFleet } from '../testing/fleet';
import { identity, signingKey } from '../testing/identities';
import { expectRefusal } from '../testing/refusal';

const BOOTSTRAP = 'governance:Bootstrap';

describe('governance:Bootstrap', () => {
  it('assembles the consortium from one record each and tells of it in an event', async () => {
    const consortium = new TestConsortium();
    const content = consortium.bootstrapContent();
    const simulated = await consortium.simulate(BOOTSTRAP, content, await identity(GRID, 'operator'));
    expect(simulated.event).to.deep.equal({ type: 'ConsortiumChanged', hash: hashOf(content) });
    expect(consortium.commit(simulated)).to.equal('VALID');
    const record = await consortium.evaluate<ConsortiumRecord>('governance:GetConsortium', {});
    expect(record.organisations.map(({ mspId }) => mspId)).to.deep.equal([...MSPS].sort());
    expect(record.bootstrapHash, "the network's name in signed statements").to.equal(hashOf(content));
    expect(record.makers).to.deep.equal(content.makers);
    expect(record.policy).to.deep.equal(content.policy);
  });

  it('returns the consortium when repeated with the same content and writes nothing', async () => {
    const consortium = new TestConsortium();
    const content = consortium.bootstrapContent();
    await consortium.submit(BOOTSTRAP, content, GRID, 'operator');
    const again = await consortium.simulate(BOOTSTRAP, content, await identity(CITY, 'operator'));
    expect(again.error).to.equal(undefined);
    expect(again.stub.writes.size).to.equal(0);
    expect(again.event).to.equal(undefined);
  });

  it('refuses other content once bootstrapped', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const other = consortium.bootstrapContent({ vehicleQuota: 7 });
    await expectRefusal(consortium.submit(BOOTSTRAP, other, GRID, 'operator'), 'GOVERNANCE_CONFLICT');
  });

  it('refuses an operator whose organisation is not listed or does not operate', async () => {
    const consortium = new TestConsortium();
    const content = consortium.bootstrapContent();
    await expectRefusal(consortium.submit(BOOTSTRAP, content, 'StrangerMSP', 'operator'), 'ACCESS_DENIED');
    const weak = content.organisations.map((o) => (o.mspId === CITY ? { ...o, roles: ['attester' as const] } : o));
    const call = consortium.submit(BOOTSTRAP, { ...content, organisations: weak }, CITY, 'operator');
    await expectRefusal(call, 'ACCESS_DENIED');
  });

  const broken: [string, (content: Bootstrap) => unknown][] = [
    ['no organisations', (c) => ({ ...c, organisations: [] })],
    ['the same MSP twice', (c) => ({ ...c, organisations: [...c.organisations, c.organisations[0]] })],
    [
      'two organisations with one signing key, who could vote twice',
      (c) => ({
        ...c,
        organisations: c.organisations.map((o) => ({ ...o, signingKey: c.organisations[0]?.signingKey })),
      }),
    ],
    [
      'a signing key that is none',
      (c) => ({ ...c, organisations: c.organisations.map((o) => ({ ...o, signingKey: 'A'.repeat(120) })) }),
    ],
    [
      'a role named twice',
      (c) => ({ ...c, organisations: [{ ...c.organisations[0], roles: ['operator', 'operator'] }] }),
    ],
    ['nobody who operates', (c) => ({ ...c, organisations: [{ ...c.organisations[0], roles: ['attester'] }] })],
    [
      'fewer operators than a majority of votes takes',
      (c) => ({
        ...c,
        organisations: c.organisations.map((o) =>
          o.mspId === GRID || o.mspId === CITY ? o : { ...o, roles: ['attester'] },
        ),
      }),
    ],
    ['an unknown property', (c) => ({ ...c, extra: 1 })],
    ['a fraction', (c) => ({ ...c, policy: { ...c.policy, vehicleQuota: 1.5 } })],
  ];
  for (const [what, change] of broken) {
    it(`refuses ${what}`, async () => {
      const consortium = new TestConsortium();
      const content = change(consortium.bootstrapContent());
      await expectRefusal(consortium.submit(BOOTSTRAP, content, GRID, 'operator'), 'ARGUMENT_INVALID');
    });
  }

  it('refuses a maker of an organisation that is no member', async () => {
    const consortium = new TestConsortium();
    const content = consortium.bootstrapContent();
    const makers = content.makers.map((maker) => ({ ...maker, mspId: 'StrangerMSP' }));
    await expectRefusal(consortium.submit(BOOTSTRAP, { ...content, makers }, GRID, 'operator'), 'ORGANISATION_UNKNOWN');
  });
});

describe('governance proposals', () => {
  let consortium: TestConsortium;
  beforeEach(async () => {
    consortium = await TestConsortium.bootstrapped();
  });

  const policy = { vehicleQuota: 5, enrollmentsPerWindow: 5, enrollmentWindowMs: 60_000 };
  const setPolicy: Change = { kind: 'set-policy', policy };
  const propose = (change: Change, mspId: string = GRID, proposalId = 'p-1') =>
    consortium.submit<ProposalRecord>('governance:Propose', { proposalId, change }, mspId, 'operator');
  const vote = (mspId: string, approve = true, proposalId = 'p-1') =>
    consortium.submit<ProposalRecord>('governance:Vote', { proposalId, approve }, mspId, 'operator');
  const execute = (proposalId = 'p-1') =>
    consortium.submit<ProposalRecord>('governance:Execute', { proposalId }, GRID, 'operator');
  const decide = async (change: Change): Promise<ProposalRecord> => {
    await propose(change);
    await vote(CITY);
    await vote(MAKER);
    return execute();
  };
  const members = async () => consortium.evaluate<ConsortiumRecord>('governance:GetConsortium', {});

  it('carry with a majority of the organisations and not before', async () => {
    await propose(setPolicy);
    await expectRefusal(execute(), 'PROPOSAL_NOT_ACCEPTED');
    await vote(CITY);
    await expectRefusal(execute(), 'PROPOSAL_NOT_ACCEPTED');
    await vote(MAKER);
    expect((await execute()).state).to.equal('executed');
    expect((await members()).policy).to.deep.equal(policy);
  });

  it('count one vote an organisation, and the last one it cast', async () => {
    await propose(setPolicy);
    await vote(GRID);
    await vote(CITY);
    await vote(MAKER);
    await vote(MAKER, false);
    await expectRefusal(execute(), 'PROPOSAL_NOT_ACCEPTED');
    const view = await consortium.evaluate<ProposalView>('governance:GetProposal', { proposalId: 'p-1' });
    expect(view.votes.map(({ mspId, approve }) => [mspId, approve])).to.deep.equal([
      [CITY, true],
      [GRID, true],
      [MAKER, false],
    ]);
  });

  it('return the record when repeated, write nothing, and conflict with other content', async () => {
    const first = await propose(setPolicy);
    const operator = await identity(CITY, 'operator');
    const again = await consortium.simulate('governance:Propose', { proposalId: 'p-1', change: setPolicy }, operator);
    expect(again.result).to.deep.equal(first);
    expect(again.stub.writes.size).to.equal(0);
    const other: Change = { kind: 'remove-maker', makerKeyId: 'maker-1' };
    await expectRefusal(propose(other), 'PROPOSAL_CONFLICT');
  });

  it('are executed once: again returns the record, a late vote is refused', async () => {
    await decide(setPolicy);
    const again = await consortium.simulate(
      'governance:Execute',
      { proposalId: 'p-1' },
      await identity(CITY, 'operator'),
    );
    expect(again.result).to.have.property('state', 'executed');
    expect(again.stub.writes.size).to.equal(0);
    await expectRefusal(vote(REGULATOR), 'PROPOSAL_EXECUTED');
    expect(await vote(CITY)).to.have.property('state', 'executed');
  });

  it('that nobody made are unknown', async () => {
    await expectRefusal(vote(CITY, true, 'p-9'), 'PROPOSAL_UNKNOWN');
    await expectRefusal(execute('p-9'), 'PROPOSAL_UNKNOWN');
    const call = consortium.evaluate('governance:GetProposal', { proposalId: 'p-9' });
    await expectRefusal(call, 'PROPOSAL_UNKNOWN');
  });

  it('admit and remove organisations; the votes of one that left no longer count', async () => {
    await decide({ kind: 'remove-organisation', mspId: MAKER });
    const after = await members();
    expect(after.organisations.map(({ mspId }) => mspId)).to.deep.equal([CITY, GRID, REGULATOR]);
    expect(after.makers, 'its maker keys leave with it').to.deep.equal([]);
    await expectRefusal(vote(MAKER), 'CALLER_UNKNOWN');
    await propose({ kind: 'admit-organisation', organisation: consortium.organisation(MAKER) }, GRID, 'p-2');
    await vote(CITY, true, 'p-2');
    await execute('p-2');
    expect((await members()).organisations).to.have.length(4);
  });

  it('cannot remove the last organisation or the last operator', async () => {
    const alone = new TestConsortium();
    const content = alone.bootstrapContent();
    const organisations = content.organisations.filter(({ mspId }) => mspId === GRID);
    await alone.submit(BOOTSTRAP, { ...content, organisations, makers: [] }, GRID, 'operator');
    const run = async (proposalId: string, change: Change): Promise<unknown> => {
      await alone.submit('governance:Propose', { proposalId, change }, GRID, 'operator');
      return alone.submit('governance:Execute', { proposalId }, GRID, 'operator');
    };
    await expectRefusal(run('p-1', { kind: 'remove-organisation', mspId: GRID }), 'ARGUMENT_INVALID');
    const organisation = { ...alone.organisation(GRID), roles: ['coordinator' as const] };
    await expectRefusal(run('p-2', { kind: 'put-organisation', organisation }), 'ARGUMENT_INVALID');
    await expectRefusal(run('p-3', { kind: 'remove-organisation', mspId: CITY }), 'ORGANISATION_UNKNOWN');
  });

  it("cannot put an organisation under another's name or signing key", async () => {
    const organisation = { ...consortium.organisation(CITY), mspId: 'NewMSP', name: 'new' };
    await expectRefusal(decide({ kind: 'admit-organisation', organisation }), 'ARGUMENT_INVALID');
  });

  it('accredit and remove maker keys', async () => {
    const maker = { makerKeyId: 'maker-2', mspId: CITY, publicKey: signingKey().publicKey };
    await decide({ kind: 'put-maker', maker });
    expect((await members()).makers).to.have.length(2);
    await propose({ kind: 'remove-maker', makerKeyId: 'maker-9' }, GRID, 'p-2');
    await vote(CITY, true, 'p-2');
    await vote(MAKER, true, 'p-2');
    await expectRefusal(execute('p-2'), 'MAKER_UNKNOWN');
  });

  it('refuse a key that is none when they are made', async () => {
    const maker = { makerKeyId: 'maker-2', mspId: CITY, publicKey: 'A'.repeat(120) };
    await expectRefusal(propose({ kind: 'put-maker', maker }), 'ARGUMENT_INVALID');
  });

  it('refuse the maker of a stranger when they are executed', async () => {
    const maker = { makerKeyId: 'maker-2', mspId: 'StrangerMSP', publicKey: signingKey().publicKey };
    await expectRefusal(decide({ kind: 'put-maker', maker }), 'ORGANISATION_UNKNOWN');
  });

  it("leave a maker's key, by id and by what it is, with its organisation", async () => {
    const [maker] = (await members()).makers;
    await expectRefusal(decide({ kind: 'put-maker', maker: { ...maker!, mspId: CITY } }), 'MAKER_CONFLICT');
    const renewed = { ...maker!, publicKey: signingKey().publicKey };
    const again = async (proposalId: string, change: Change): Promise<unknown> => {
      await propose(change, GRID, proposalId);
      await vote(CITY, true, proposalId);
      await vote(MAKER, true, proposalId);
      return execute(proposalId);
    };
    const renamed = { ...maker!, makerKeyId: 'maker-2', mspId: CITY };
    await expectRefusal(again('p-2', { kind: 'put-maker', maker: renamed }), 'MAKER_CONFLICT');
    await again('p-3', { kind: 'put-maker', maker: renewed });
    expect((await members()).makers).to.deep.equal([renewed]);
  });

  it('suspend a vehicle so that its own organisation cannot reinstate it', async () => {
    const [vehicle] = await enrolledFleet(consortium, 1);
    const { vehicleId } = vehicle!;
    await decide({ kind: 'vehicle-status', vehicleId, status: 'suspended', reason: 'disputed updates' });
    const reinstate = { vehicleId, status: 'active', reason: 'looks fine to us' };
    const call = consortium.submit('registry:SetVehicleStatus', reinstate, MAKER, 'registrar');
    await expectRefusal(call, 'VEHICLE_STATUS_TRANSITION');
    await propose({ kind: 'vehicle-status', vehicleId, status: 'active', reason: 'cleared' }, GRID, 'p-2');
    await vote(CITY, true, 'p-2');
    await vote(MAKER, true, 'p-2');
    await execute('p-2');
    const record = await consortium.evaluate<VehicleRecord>('registry:GetVehicle', { vehicleId });
    expect(record).to.include({ status: 'active', statusReason: 'cleared', statusSetBy: 'consortium' });
  });

  it('are listed in pages', async () => {
    for (const id of ['p-1', 'p-2', 'p-3']) {
      await propose(setPolicy, GRID, id);
    }
    const seen: string[] = [];
    let bookmark = '';
    do {
      const page: Page<ProposalRecord> = await consortium.evaluate('governance:ListProposals', {
        pageSize: 2,
        bookmark,
      });
      seen.push(...page.items.map(({ proposalId }) => proposalId));
      bookmark = page.bookmark;
    } while (bookmark !== '');
    expect(seen).to.deep.equal(['p-1', 'p-2', 'p-3']);
  });
});
