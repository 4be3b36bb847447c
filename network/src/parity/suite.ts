// SPDX-License-Identifier: Apache-2.0
import { addressingScenarios } from './scenarios/addressing.js';
import { commitScenarios } from './scenarios/commit.js';
import { contractScenarios } from './scenarios/contract.js';
import { eventScenarios } from './scenarios/events.js';
import { identityScenarios } from './scenarios/identity.js';
import { ledgerScenarios } from './scenarios/ledger.js';
import { limitScenarios } from './scenarios/limits.js';
import { outageScenarios } from './scenarios/outages.js';
import { privateDataScenarios } from './scenarios/private-data.js';
import type { Scenario } from './scenario.js';

/** Every scenario, by its theme; those that take nodes away come last. */
export const PARITY_SUITE: Readonly<Record<string, readonly Scenario[]>> = {
  ledger: ledgerScenarios,
  events: eventScenarios,
  contract: contractScenarios,
  commit: commitScenarios,
  'private-data': privateDataScenarios,
  addressing: addressingScenarios,
  identity: identityScenarios,
  limits: limitScenarios,
  outages: outageScenarios,
};
