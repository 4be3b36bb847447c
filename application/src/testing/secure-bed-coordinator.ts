// SPDX-License-Identifier: Apache-2.0
import { Coordinator, type CoordinatorOptions } from '../coordinator/coordinator.js';
import type { Hooks } from './contract-ledger.js';
import { intercepted } from './secure-bed-around.js';
import type { SecureBed } from './secure-bed.js';

export interface CoordinatorSetup extends Partial<
  Pick<CoordinatorOptions, 'lastRound' | 'maxAttempts' | 'sources' | 'aggregators' | 'arbiter' | 'validators'>
> {
  readonly mspId?: string;
  /** Told before and after every call that the coordinator makes but reading; what it throws meets the coordinator. */
  readonly interrupt?: (what: string) => void;
  /** Told before every read of the ledger. */
  readonly read?: () => void;
}

/** A coordinator among the parties of a bed. */
export async function newCoordinator(bed: SecureBed, setup: CoordinatorSetup): Promise<Coordinator> {
  const { mspId = 'GridOperatorMSP', interrupt, read, ...rest } = setup;
  const step = (what: string): void => interrupt?.(what);
  const passing = <T extends object>(name: string, target: T): T =>
    intercepted(target, async ({ method, proceed }) => {
      step(`before ${method} of ${name}`);
      const answer = await proceed();
      step(`after ${method} of ${name}`);
      return answer;
    });
  const hooks: Hooks = {
    ...(read === undefined ? {} : { read }),
    before: (transaction) => {
      step(`before ${transaction}`);
    },
    after: (transaction) => {
      step(`after ${transaction}`);
    },
  };
  const sources = setup.sources ?? bed.sources(mspId);
  const aggregators = setup.aggregators ?? bed.aggregatorIds.map((id) => bed.client(id));
  const arbiter = setup.arbiter ?? bed.arbiterClient();
  const validators = setup.validators ?? bed.validators();
  return new Coordinator({
    session: await bed.session(mspId, 'coordinator', hooks),
    store: bed.store,
    taskId: bed.task.taskId,
    log: bed.log.of(`coordinator of ${mspId}`),
    ...rest,
    sources: sources.map((source) => passing(source.mspId, source)),
    aggregators: aggregators.map((client) => passing(client.mspId, client)),
    validators: validators.map((client) => passing(`validator ${client.mspId}`, client)),
    ...(arbiter === undefined ? {} : { arbiter: passing('arbiter', arbiter) }),
  });
}
