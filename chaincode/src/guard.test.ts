// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { PERMISSIONS } from './guard';
import { role as roles, type Role } from './api';
import { CITY, GRID, REGULATOR, TestConsortium } from './testing/consortium';
import { identity } from './testing/identities';
import { expectRefusal } from './testing/refusal';

const SUBMITTED: Readonly<Record<string, readonly Role[]>> = {
  'governance:Bootstrap': ['operator'],
  'governance:Propose': ['operator'],
  'governance:Vote': ['operator'],
  'governance:Execute': ['operator'],
  'governance:Withdraw': ['operator'],
  'registry:EnrollVehicles': ['registrar'],
  'registry:SetVehicleStatus': ['registrar'],
  'registry:RotateKey': ['vehicle'],
  'registry:RecoverKey': ['registrar'],
  'learning:CreateTask': ['operator', 'coordinator'],
  'learning:OpenRound': ['coordinator'],
  'learning:RecordUpdates': ['coordinator'],
  'learning:RecordUpdate': ['vehicle'],
  'learning:CloseRound': ['coordinator'],
  'learning:ShowReceipts': ['coordinator', 'vehicle'],
  'learning:FixCohort': ['coordinator'],
  'learning:ScoreRound': ['coordinator'],
  'learning:CommitSums': ['coordinator'],
  'learning:CommitHeSum': ['coordinator'],
  'learning:OpenDispute': ['coordinator'],
  'learning:SettleDispute': ['coordinator', 'attester'],
  'learning:AbortRound': ['coordinator'],
  'learning:FinaliseRound': ['coordinator'],
  'rewards:PayRound': ['coordinator'],
  'incidents:OpenIncident': ['operator', 'coordinator', 'auditor'],
  'incidents:VoteIncident': ['operator', 'auditor'],
  'incidents:CorrectModel': ['operator', 'coordinator', 'auditor'],
};

describe('The guard', () => {
  it('has a line for every transaction and none for anything else', () => {
    expect([...PERMISSIONS.keys()].sort()).to.deep.equal(new TestConsortium().transactions().sort());
  });

  describe('lets through', () => {
    let consortium: TestConsortium;
    before(async () => {
      consortium = await TestConsortium.bootstrapped();
    });
    for (const transaction of PERMISSIONS.keys()) {
      const allowed = SUBMITTED[transaction] ?? roles.options;
      it(`${allowed === roles.options ? 'every role' : allowed.join(' and ')} to ${transaction}, nobody else`, async () => {
        for (const role of roles.options) {
          const mspId = role === 'auditor' ? REGULATOR : GRID;
          const { error } = await consortium.simulate(transaction, 'not JSON', await identity(mspId, role));
          expect(error?.code, role).to.equal(allowed.includes(role) ? 'ARGUMENT_INVALID' : 'ACCESS_DENIED');
        }
      });
    }
  });

  it('denies a role that governance does not allow the organisation, whatever its CA certified', async () => {
    const consortium = await TestConsortium.bootstrapped();
    const task = { taskId: 'x' };
    await expectRefusal(consortium.evaluate('learning:GetTask', task, CITY, 'auditor'), 'CALLER_UNKNOWN');
    await expectRefusal(consortium.evaluate('learning:GetTask', task, REGULATOR, 'coordinator'), 'CALLER_UNKNOWN');
    await expectRefusal(consortium.evaluate('learning:GetTask', task, 'StrangerMSP', 'operator'), 'CALLER_UNKNOWN');
  });

  it('denies a certificate without OU=client', async () => {
    const consortium = await TestConsortium.bootstrapped();
    for (const unit of ['peer', 'admin', 'clients', 'x\nOU=client', 'x + OU=client']) {
      const caller = await identity(GRID, 'operator', { unit });
      await expectRefusal(consortium.submitAs('governance:GetConsortium', {}, caller), 'ACCESS_DENIED');
    }
    const caller = await identity(GRID, 'operator', { unit: 'peer', commonName: 'x\nOU=client + OU=client' });
    await expectRefusal(consortium.submitAs('governance:GetConsortium', {}, caller), 'ACCESS_DENIED');
  });

  it('denies a certificate without a role or with an unknown one', async () => {
    const consortium = await TestConsortium.bootstrapped();
    for (const attributes of [{}, { role: 'god' }, { role: '' }] as Record<string, string>[]) {
      const caller = await identity(GRID, 'operator', { attributes });
      await expectRefusal(consortium.submitAs('governance:GetConsortium', {}, caller), 'CALLER_UNKNOWN');
    }
  });

  it('says so when there is no governance yet', async () => {
    const consortium = new TestConsortium();
    await expectRefusal(consortium.evaluate('governance:GetConsortium', {}), 'GOVERNANCE_MISSING');
    const enroll = { domain: 'learning', window: 1, vehicles: [] };
    await expectRefusal(consortium.submit('registry:EnrollVehicles', enroll, GRID, 'registrar'), 'GOVERNANCE_MISSING');
  });

  it('knows no transaction that the contracts do not have', async () => {
    const consortium = await TestConsortium.bootstrapped();
    for (const name of ['governance:Mint', 'governance:beforeTransaction', 'learning:constructor', 'Bootstrapped']) {
      await expectRefusal(consortium.evaluate(name, {}), 'ACCESS_DENIED');
    }
  });

  it('guards the default contract by its name as well', async () => {
    const consortium = await TestConsortium.bootstrapped();
    await expectRefusal(consortium.evaluate('Vote', {}, GRID, 'coordinator'), 'ACCESS_DENIED');
    expect(await consortium.evaluate('GetConsortium', {}, GRID, 'operator')).to.have.property('docType', 'consortium');
  });
});
