// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import type { Lock } from '@sev/network/lock';
import { Aggregator } from '../aggregator/aggregator.js';
import { Inbox } from '../aggregator/inbox.js';
import { OrganisationGate } from '../aggregator/organisation-gate.js';
import { startAggregatorServer } from '../aggregator/server.js';
import { inHome } from '../config/homes.js';
import { organisationNamed, readRegistrar, type OrganisationProfile } from '../config/profile.js';
import { readPrivateKey } from '../identity/keys.js';
import { ensureServerCertificate } from '../identity/server-certificate.js';
import { identityOf, openWallet } from '../identity/wallet.js';
import { HeParty } from '../homomorphic/party.js';
import { governance } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import { HttpStore } from '../store/http-store.js';
import { lockHome } from './home-lock.js';
import { silentLog } from './log.js';
import { listenAt, type OrganisationServiceOptions } from './run-options.js';
import { newService, type RunningService } from './service.js';

export interface RunAggregatorOptions extends OrganisationServiceOptions {
  /** Names that others reach it by, beside `localhost` and 127.0.0.1; its certificate holds for them. */
  readonly names?: readonly string[] | undefined;
  /** How long keys and shares are kept once the traceback needs them no more, in ms; default 24 h. */
  readonly retentionMs?: number | undefined;
}

const LOOPBACK = ['localhost', '127.0.0.1'];

/**
 * Runs an organisation's aggregator: it takes vehicles' shares in, and opens of them what its own look at the ledger shows
 * to be fixed. It may be killed at any point; its keys and shares lie in `<home>/aggregator`, which is one process's at a time.
 *
 * @throws SevError ORGANISATION_UNKNOWN, IDENTITY_MISSING, IDENTITY_FOREIGN, KEY_MISSING, CA_UNREACHABLE, CA_REFUSED,
 *   CA_FAILED, REGISTRAR_MISSING, HOME_IN_USE, PORT_IN_USE.
 */
export async function runAggregator(options: RunAggregatorOptions): Promise<RunningService> {
  const organisation = organisationNamed(options.profile, options.organisation);
  const directory = inHome.aggregator(options.home);
  const lock = await lockHome(directory);
  try {
    return await runLocked(options, organisation, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function runLocked(
  { profile, home, names = [], retentionMs, log = silentLog, ...options }: RunAggregatorOptions,
  organisation: OrganisationProfile,
  lock: Lock,
): Promise<RunningService> {
  const directory = inHome.aggregator(home);
  const identity = await identityOf(organisation, await openWallet(inHome.wallet(home)), 'aggregator');
  const signingKey = await readPrivateKey(inHome.signingKey(home));
  const { key, certificate } = await ensureServerCertificate({
    organisation,
    home,
    directory,
    role: 'aggregator',
    hosts: [...LOOPBACK, ...names],
    credentials: () => readRegistrar(organisation.name),
  });
  const session = await openSession({ profile, identity });
  try {
    const aggregator = new Aggregator({
      session,
      store: new HttpStore(options.storeUrl),
      inbox: await Inbox.open(join(directory, 'inbox')),
      signingKey,
      ...(retentionMs === undefined ? {} : { retentionMs }),
      log,
    });
    const party = new HeParty({
      session,
      store: new HttpStore(options.storeUrl),
      inbox: await Inbox.open(join(directory, 'he-inbox')),
      signingKey,
      ...(retentionMs === undefined ? {} : { retentionMs }),
      log,
    });
    const { organisations } = profile;
    const server = await startAggregatorServer({
      aggregator,
      party,
      gate: new OrganisationGate({ organisations, consortium: () => governance(session).consortium() }),
      tls: { key, certificate, clientRoots: organisations.map(({ identityCaCert }) => identityCaCert) },
      ...listenAt(options),
      log,
    });
    let ending: Promise<void> | undefined;
    return newService({
      server,
      running: Promise.all([aggregator.run(), party.run()]).then(() => undefined),
      end: () => {
        aggregator.end();
        ending = party.end();
      },
      release: async () => {
        await ending;
        session.close();
        await lock.release();
      },
    });
  } catch (error) {
    session.close();
    throw error;
  }
}
