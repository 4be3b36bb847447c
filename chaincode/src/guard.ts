// SPDX-License-Identifier: Apache-2.0
import { ContractError, type Role } from './api';
import type { Caller } from './caller';
import type { GovernanceRepository } from './ledger/governance';

const READERS: readonly Role[] = [
  'operator',
  'registrar',
  'coordinator',
  'attester',
  'aggregator',
  'vehicle',
  'auditor',
];

/** Which roles may run which transaction. What is not listed is denied. */
export const PERMISSIONS: ReadonlyMap<string, readonly Role[]> = new Map<string, readonly Role[]>([
  ['governance:Bootstrap', ['operator']],
  ['governance:Propose', ['operator']],
  ['governance:Vote', ['operator']],
  ['governance:Execute', ['operator']],
  ['governance:Withdraw', ['operator']],
  ['governance:GetConsortium', READERS],
  ['governance:GetProposal', READERS],
  ['governance:ListProposals', READERS],

  ['registry:EnrollVehicles', ['registrar']],
  ['registry:SetVehicleStatus', ['registrar']],
  ['registry:RotateKey', ['vehicle']],
  ['registry:RecoverKey', ['registrar']],
  ['registry:GetVehicle', READERS],
  ['registry:FindVehicles', READERS],
  ['registry:FreeSlots', READERS],
  ['registry:ListVehicles', READERS],
  ['registry:VehicleHistory', READERS],

  ['learning:CreateTask', ['operator', 'coordinator']],
  ['learning:OpenRound', ['coordinator']],
  ['learning:RecordUpdates', ['coordinator']],
  ['learning:RecordUpdate', ['vehicle']],
  ['learning:CloseRound', ['coordinator']],
  ['learning:ShowReceipts', ['coordinator', 'vehicle']],
  ['learning:FixCohort', ['coordinator']],
  ['learning:ScoreRound', ['coordinator']],
  ['learning:CommitSums', ['coordinator']],
  ['learning:CommitHeSum', ['coordinator']],
  ['learning:OpenDispute', ['coordinator']],
  ['learning:SettleDispute', ['coordinator', 'attester']],
  ['learning:AbortRound', ['coordinator']],
  ['learning:FinaliseRound', ['coordinator']],
  ['learning:GetTask', READERS],
  ['learning:ListTasks', READERS],
  ['learning:GetRound', READERS],
  ['learning:ListRounds', READERS],
  ['learning:RoundHistory', READERS],
  ['learning:ListUpdates', READERS],
  ['learning:VehicleUpdates', READERS],
  ['learning:ListReceipts', READERS],
  ['learning:GetCohort', READERS],
  ['learning:GetScores', READERS],
  ['learning:GetModel', READERS],
  ['learning:GetStanding', READERS],
  ['learning:ListStandings', READERS],
  ['learning:ListValidators', READERS],

  ['rewards:PayRound', ['coordinator']],
  ['rewards:Statement', READERS],
  ['rewards:Journal', READERS],
  ['rewards:ListPaidRounds', READERS],

  ['incidents:OpenIncident', ['operator', 'coordinator', 'auditor']],
  ['incidents:VoteIncident', ['operator', 'auditor']],
  ['incidents:CorrectModel', ['operator', 'coordinator', 'auditor']],
  ['incidents:GetIncident', READERS],
  ['incidents:ListIncidents', READERS],
  ['incidents:ListCulprits', READERS],
  ['incidents:GetCorrection', READERS],
]);

/** There is no governance to ask before this one; it checks its caller against its own argument. */
const BEFORE_GOVERNANCE = 'governance:Bootstrap';

/**
 * Lets a caller run a transaction only where the table allows its role and governance allows its organisation that
 * role: a CA alone cannot mint one.
 *
 * @throws ContractError ACCESS_DENIED, CALLER_UNKNOWN or GOVERNANCE_MISSING.
 */
export async function authorise(transaction: string, caller: Caller, governance: GovernanceRepository): Promise<void> {
  const roles = PERMISSIONS.get(transaction);
  if (roles === undefined) {
    throw new ContractError('ACCESS_DENIED', `there is no transaction ${transaction.slice(0, 100)}`);
  }
  if (!roles.includes(caller.role)) {
    throw new ContractError('ACCESS_DENIED', `${transaction} needs the role ${roles.join(' or ')}, not ${caller.role}`);
  }
  if (transaction === BEFORE_GOVERNANCE) {
    return;
  }
  const organisation = await governance.member(caller.mspId);
  if (organisation?.roles.includes(caller.role)) {
    return;
  }
  if ((await governance.bootstrapRecord()) === undefined) {
    throw new ContractError('GOVERNANCE_MISSING', 'run governance:Bootstrap first');
  }
  throw new ContractError('CALLER_UNKNOWN', `governance does not allow ${caller.mspId} the role ${caller.role}`);
}
