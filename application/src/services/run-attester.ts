// SPDX-License-Identifier: Apache-2.0
import { aggregatorsAt } from '../aggregator/http-aggregator.js';
import { ArbiterKeys } from '../arbiter/arbiter-keys.js';
import { Arbiter } from '../arbiter/arbiter.js';
import type { AttackRequest } from '../attack/attack-order.js';
import { noisyValidation } from '../attack/noisy-validation.js';
import { Attester } from '../attester/attester.js';
import { startAttesterServer } from '../attester/server.js';
import { inHome } from '../config/homes.js';
import { organisationNamed } from '../config/profile.js';
import { readPrivateKey } from '../identity/keys.js';
import { identityOf, openWallet } from '../identity/wallet.js';
import { OwnMeasurer } from '../incidents/measurer.js';
import { openSession } from '../ledger/gateway-session.js';
import { HttpStore } from '../store/http-store.js';
import { readValidationData, type ValidationSource } from '../validation/validation-data.js';
import { Validator } from '../validation/validator.js';
import { silentLog } from './log.js';
import { networkName } from './network-name.js';
import { listenAt, type OrganisationServiceOptions } from './run-options.js';
import { newService, type RunningService } from './service.js';
import { StatementSigner } from './statement-signer.js';

export interface RunAttesterOptions extends OrganisationServiceOptions {
  /** What the organisation validates on, where it does. */
  readonly validationData?: ValidationSource | undefined;
  /** Aggregators by organisation, which open disputed updates to it: without them it measures no corrections. */
  readonly aggregators?: readonly { readonly organisation: string; readonly url: string }[] | undefined;
  /** For exercises: has the validator depart from the others on purpose. */
  readonly attack?: Omit<AttackRequest, 'vehicleIds'> | undefined;
}

/**
 * Runs an organisation's attester: it signs statements about rounds that its own look at the ledger and its own
 * recomputation bear out.
 *
 * @throws SevError ORGANISATION_UNKNOWN, IDENTITY_MISSING, IDENTITY_FOREIGN, KEY_MISSING, PORT_IN_USE,
 *   VALIDATION_DATA_MISSING, ATTACK_UNKNOWN, ATTACK_UNSUITED; DataError.
 */
export async function runAttester(options: RunAttesterOptions): Promise<RunningService> {
  const { profile, home, log = silentLog } = options;
  const organisation = organisationNamed(profile, options.organisation);
  const { mspId } = organisation;
  const wallet = await openWallet(inHome.wallet(home));
  const key = await readPrivateKey(inHome.signingKey(home));
  const identity = await identityOf(organisation, wallet, 'attester');
  const aggregators = aggregatorsAt(profile, options.aggregators ?? [], identity);
  const session = await openSession({ profile, identity });
  try {
    const store = new HttpStore(options.storeUrl);
    const signer = new StatementSigner(mspId, key, networkName(session));
    const own = options.validationData && (await readValidationData(options.validationData));
    const data = options.attack === undefined ? own : noisyValidation(options.attack, own, log);
    const validating = data === undefined ? {} : { validator: new Validator({ session, store, signer, data, log }) };
    const attester = new Attester({ session, store, signer, ...validating, log });
    const arbiter = new Arbiter({
      session,
      store,
      keys: new ArbiterKeys(inHome.arbiterKeys(home)),
      signingKey: key,
      log,
    });
    const measurer = data && new OwnMeasurer({ session, store, signer, aggregators, data, log });
    const server = await startAttesterServer({
      ...{ attester, arbiter, mspId, log },
      ...validating,
      ...(measurer === undefined ? {} : { measurer }),
      ...listenAt(options),
    });
    return newService({
      server,
      running: attester.run(),
      end: () => {
        attester.end();
      },
      release: () => {
        session.close();
        aggregators.forEach((one) => {
          one.close();
        });
      },
    });
  } catch (error) {
    session.close();
    throw error;
  }
}
