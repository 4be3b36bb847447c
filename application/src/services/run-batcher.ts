// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { BatchOptions } from '../batcher/batched-attempt.js';
import { Batcher } from '../batcher/batcher.js';
import { Outbox } from '../batcher/outbox.js';
import { startBatcherServer } from '../batcher/server.js';
import { inHome } from '../config/homes.js';
import { organisationNamed } from '../config/profile.js';
import { identityOf, openWallet } from '../identity/wallet.js';
import { openSession } from '../ledger/gateway-session.js';
import { silentLog } from './log.js';
import { listenAt, type OrganisationServiceOptions } from './run-options.js';
import { newService, type RunningService } from './service.js';

export interface RunBatcherOptions extends Omit<OrganisationServiceOptions, 'storeUrl'> {
  readonly batch?: BatchOptions | undefined;
  /** Envelopes waiting for the ledger, at the most; default 10,000. */
  readonly maxWaiting?: number | undefined;
}

/**
 * Runs an organisation's update batcher, which records as the organisation's coordinator: the contract lets nobody else
 * submit batches. It may be killed at any point; what it took lies in `<home>/batcher`.
 *
 * @throws SevError ORGANISATION_UNKNOWN, IDENTITY_MISSING, IDENTITY_FOREIGN, PORT_IN_USE.
 */
export async function runBatcher(options: RunBatcherOptions): Promise<RunningService> {
  const { profile, home, batch, maxWaiting, log = silentLog } = options;
  const organisation = organisationNamed(profile, options.organisation);
  const identity = await identityOf(organisation, await openWallet(inHome.wallet(home)), 'coordinator');
  const outbox = await Outbox.open(join(inHome.batcher(home), 'outbox'));
  const session = await openSession({ profile, identity });
  try {
    const batcher = new Batcher({
      session,
      outbox,
      ...(batch === undefined ? {} : { batch }),
      ...(maxWaiting === undefined ? {} : { maxWaiting }),
      log,
    });
    const server = await startBatcherServer({ batcher, ...listenAt(options), log });
    return newService({
      server,
      running: batcher.run(),
      end: () => {
        batcher.end();
      },
      release: async () => {
        await outbox.close();
        session.close();
      },
    });
  } catch (error) {
    session.close();
    throw error;
  }
}
