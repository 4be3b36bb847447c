// SPDX-License-Identifier: Apache-2.0
import type { KeyObject } from 'node:crypto';
import { HttpAggregator } from '../aggregator/http-aggregator.js';
import { HttpArbiter } from '../arbiter/http-arbiter.js';
import { inHome } from '../config/homes.js';
import { organisationNamed } from '../config/profile.js';
import { Coordinator } from '../coordinator/coordinator.js';
import { writeTiming, type RoundTiming } from '../coordinator/round-clock.js';
import { startCoordinatorServer } from '../coordinator/server.js';
import { HttpStatementSource, OwnStatementSource } from '../coordinator/statement-sources.js';
import type { StatementSource } from '../coordinator/statements.js';
import { HttpHeParty } from '../homomorphic/http-party.js';
import { readPrivateKey } from '../identity/keys.js';
import { identityOf, openWallet } from '../identity/wallet.js';
import { openSession } from '../ledger/gateway-session.js';
import { HttpStore } from '../store/http-store.js';
import { readValidationData, type ValidationSource } from '../validation/validation-data.js';
import { HttpValidator, type ValidatorClient } from '../validation/validator-client.js';
import { Validator } from '../validation/validator.js';
import { failureFields, silentLog } from './log.js';
import { networkName } from './network-name.js';
import { listenAt, type OrganisationServiceOptions } from './run-options.js';
import { newService, type RunningService } from './service.js';
import { StatementSigner } from './statement-signer.js';

export interface RunCoordinatorOptions extends OrganisationServiceOptions {
  readonly taskId: string;
  /** The round after which the coordinator is done; default, and at most: the task's planned rounds. */
  readonly rounds?: number | undefined;
  /**
   * Attesters by organisation (name or MSP id). The coordinator's own organisation needs none: unless one is named for
   * it, the coordinator signs with the statement key of its home.
   */
  readonly attesters: readonly { readonly organisation: string; readonly url: string }[];
  /** Aggregators of tasks in a secure mode, by organisation. */
  readonly aggregators?: readonly { readonly organisation: string; readonly url: string }[] | undefined;
  /** The organisation that settles disputes, and where its attester answers. */
  readonly arbiter?: { readonly organisation: string; readonly url: string } | undefined;
  /** What the coordinator's own organisation validates on, where it does and no attester speaks for it. */
  readonly validationData?: ValidationSource | undefined;
  readonly maxAttempts?: number | undefined;
  /** Told of every round that this coordinator finalised. */
  readonly onTiming?: ((timing: RoundTiming) => void) | undefined;
}

/**
 * Runs a coordinator until its last round is final. The timing of each round is written to
 * `<home>/rounds/<task>/<round>.json`.
 *
 * @throws SevError ORGANISATION_UNKNOWN, IDENTITY_MISSING, IDENTITY_FOREIGN, KEY_MISSING, PORT_IN_USE,
 *   VALIDATION_DATA_MISSING; DataError.
 */
export async function runCoordinator(options: RunCoordinatorOptions): Promise<RunningService> {
  const { profile, home, taskId, rounds, maxAttempts, onTiming, log = silentLog } = options;
  const organisation = organisationNamed(profile, options.organisation);
  const { mspId } = organisation;
  const ownKey = await ownStatementKey(options, mspId);
  const wallet = await openWallet(inHome.wallet(home));
  const identity = await identityOf(organisation, wallet, 'coordinator');
  const session = await openSession({ profile, identity });
  const places = (options.aggregators ?? []).map(({ organisation: name, url }) => {
    const { mspId: named, gateway } = organisationNamed(profile, name);
    return { mspId: named, url, tlsCaCert: gateway.tlsCaCert, identity };
  });
  const aggregators = places.map((place) => new HttpAggregator(place));
  const parties = places.map((place) => new HttpHeParty(place));
  let writing = Promise.resolve();
  try {
    const store = new HttpStore(options.storeUrl);
    const signer = ownKey && new StatementSigner(mspId, ownKey, networkName(session));
    const data = options.validationData && (await readValidationData(options.validationData));
    const validator =
      data === undefined || signer === undefined ? undefined : new Validator({ session, store, signer, data, log });
    const coordinator = new Coordinator({
      session,
      store,
      taskId,
      sources: statementSources(options, signer),
      aggregators,
      parties,
      validators: validatorsOf(options, validator),
      ...(validator === undefined ? {} : { ownValidator: validator }),
      ...arbiterOf(options),
      log,
      ...(rounds === undefined ? {} : { lastRound: rounds }),
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      onTiming: (timing) => {
        // Written beside the next round's work; a timing that cannot be written does not stop the learning.
        writing = writing
          .then(() => writeTiming(home, timing))
          .catch((error: unknown) => {
            log.error(failureFields(error), 'the timing of a round could not be written');
          })
          .then(() => onTiming?.(timing));
      },
    });
    const server = await startCoordinatorServer({ coordinator, ...listenAt(options), log });
    return newService({
      server,
      running: coordinator.run().finally(() => writing),
      end: () => {
        coordinator.end();
      },
      release: () => {
        session.close();
        [...aggregators, ...parties].forEach((client) => {
          client.close();
        });
      },
    });
  } catch (error) {
    session.close();
    throw error;
  }
}

/** @returns undefined where an attester speaks for the coordinator's organisation. */
async function ownStatementKey(options: RunCoordinatorOptions, ownMspId: string): Promise<KeyObject | undefined> {
  const { attesters, profile, home } = options;
  return attesters.some(({ organisation }) => organisationNamed(profile, organisation).mspId === ownMspId)
    ? undefined
    : readPrivateKey(inHome.signingKey(home));
}

function arbiterOf({ profile, arbiter }: RunCoordinatorOptions): { readonly arbiter?: HttpArbiter } {
  return arbiter === undefined
    ? {}
    : { arbiter: new HttpArbiter(organisationNamed(profile, arbiter.organisation).mspId, arbiter.url) };
}

/** Who of the attesters validates shows when it is asked. */
function validatorsOf({ attesters, profile }: RunCoordinatorOptions, own: Validator | undefined): ValidatorClient[] {
  const others = attesters.map(
    ({ organisation, url }) => new HttpValidator(organisationNamed(profile, organisation).mspId, url),
  );
  return own === undefined ? others : [...others, own];
}

function statementSources(options: RunCoordinatorOptions, own: StatementSigner | undefined): StatementSource[] {
  const others = options.attesters.map(
    ({ organisation, url }) => new HttpStatementSource(organisationNamed(options.profile, organisation).mspId, url),
  );
  return own === undefined ? others : [...others, new OwnStatementSource(own)];
}
