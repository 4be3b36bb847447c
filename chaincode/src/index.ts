// SPDX-License-Identifier: Apache-2.0
import { GovernanceContract } from './contracts/governance';
import { IncidentsContract } from './contracts/incidents';
import { LearningContract } from './contracts/learning';
import { RegistryContract } from './contracts/registry';
import { RewardsContract } from './contracts/rewards';
import { skipUnwantedLogging } from './logging';

skipUnwantedLogging();

/** What the chaincode server loads; the first one is the default contract. */
export const contracts = [GovernanceContract, RegistryContract, LearningContract, RewardsContract, IncidentsContract];
