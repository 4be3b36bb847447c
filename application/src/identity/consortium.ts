// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { canonicalJson, type Bootstrap, type ConsortiumRecord, type Policy } from '@sev/chaincode/api';
import { inHome } from '../config/homes.js';
import { readRegistrar, type ConnectionProfile } from '../config/profile.js';
import { EXIT, hasCode, messageOf, SevError } from '../errors.js';
import { governance } from '../ledger/contracts.js';
import { openSession } from '../ledger/gateway-session.js';
import { createOrganisationHome, type PublicOrganisation } from './organisation.js';
import { openWallet } from './wallet.js';

export const DEFAULT_POLICY: Policy = {
  vehicleQuota: 10_000,
  enrollmentsPerWindow: 1_000,
  enrollmentWindowMs: 60 * 60 * 1000,
};

export interface BootstrapOptions {
  readonly profile: ConnectionProfile;
  /** Folder of the organisations' homes, one named after each organisation. */
  readonly homes: string;
  /** Home of the network, where the CA registrars' credentials lie; default as for `readRegistrar`. */
  readonly networkHome?: string;
  readonly policy?: Policy;
  readonly onProgress?: (message: string) => void;
}

/**
 * Sets the homes of all organisations up and bootstraps the consortium on the channel. Doing it again changes nothing.
 * A channel that was bootstrapped with anything else is refused: somebody else may have been first.
 *
 * It needs every organisation's home, so it is for networks under a single operator; organisations apart exchange their
 * public parts, and use {@link ensureBootstrapped}.
 *
 * @throws SevError CONSORTIUM_FOREIGN, CA_UNREACHABLE, CA_REFUSED, CA_FAILED; LedgerError.
 */
export async function bootstrapConsortium(options: BootstrapOptions): Promise<ConsortiumRecord> {
  const { profile, homes, onProgress } = options;
  const parts = await Promise.all(
    profile.organisations.map(async (organisation) => {
      const part = await createOrganisationHome({
        organisation,
        home: join(homes, organisation.name),
        credentials: () => readRegistrar(organisation.name, options.networkHome),
      });
      onProgress?.(`${organisation.name}: identities ready`);
      return part;
    }),
  );
  const first = profile.organisations[0];
  if (first === undefined) {
    throw new SevError('ORGANISATION_UNKNOWN', 'The network has no organisation');
  }
  const request = bootstrapOf(parts, options.policy ?? DEFAULT_POLICY);
  return ensureBootstrapped({ profile, home: join(homes, first.name), request, onProgress });
}

/** What an organisation bootstraps its consortium with, or compares with what another did. */
export interface Founding {
  readonly profile: ConnectionProfile;
  /** Home of an organisation in it. */
  readonly home: string;
  readonly request: Bootstrap;
  readonly onProgress?: ((message: string) => void) | undefined;
}

/**
 * Bootstraps the consortium on the channel, unless it is.
 *
 * @throws SevError CONSORTIUM_FOREIGN where it was bootstrapped with anything else; LedgerError.
 */
export async function ensureBootstrapped({ profile, home, request, onProgress }: Founding): Promise<ConsortiumRecord> {
  const wallet = await openWallet(inHome.wallet(home));
  const session = await openSession({ profile, identity: await wallet.get('operator') });
  try {
    const contract = governance(session);
    return await refusingOthers(request, contract, async () => {
      // Evaluated, it only says whether the channel was bootstrapped with other content.
      await contract.checkBootstrap(request);
      try {
        return await contract.consortium();
      } catch (error) {
        if (!hasCode(error, 'GOVERNANCE_MISSING')) {
          throw error;
        }
      }
      const { result } = await contract.bootstrap(request);
      onProgress?.('consortium bootstrapped');
      return result;
    });
  } finally {
    session.close();
  }
}

/** What a channel is bootstrapped with: the same from whichever organisation, so the lists are in the given order. */
export function bootstrapOf(parts: readonly PublicOrganisation[], policy: Policy): Bootstrap {
  return {
    organisations: parts.map((part) => part.organisation),
    makers: parts.flatMap((part) => part.makers),
    policy,
  };
}

/** @throws SevError CONSORTIUM_FOREIGN where the contract says that somebody bootstrapped something else. */
async function refusingOthers<T>(
  request: Bootstrap,
  contract: Pick<ReturnType<typeof governance>, 'consortium'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!hasCode(error, 'GOVERNANCE_CONFLICT')) {
      throw error;
    }
    const found = await findings(request, contract);
    throw new SevError('CONSORTIUM_FOREIGN', `The channel was bootstrapped with another consortium: ${found}`, {
      hint: 'Restore the homes that it was bootstrapped with; if it is not yours, do not use it: `sev network clean` starts afresh.',
      exitCode: EXIT.integrity,
      cause: error,
    });
  }
}

async function findings(
  request: Bootstrap,
  contract: Pick<ReturnType<typeof governance>, 'consortium'>,
): Promise<string> {
  try {
    const differences = differencesOf(request, await contract.consortium());
    return differences.length === 0 ? 'votes have since made it look like this one' : differences.join(', ');
  } catch (error) {
    return `it lets nobody of this one look (${messageOf(error)})`;
  }
}

/** What a consortium is bootstrapped with. */
type Content = Pick<ConsortiumRecord, 'organisations' | 'makers' | 'policy'>;

/** What a present consortium has too much, too little or otherwise than the one that is meant. */
export function differencesOf(meant: Content, present: Content): string[] {
  return [
    ...listDifferences('organisation', (o) => o.mspId, meant.organisations, present.organisations),
    ...listDifferences('maker', (m) => m.makerKeyId, meant.makers, present.makers),
    ...(canonicalJson(meant.policy) === canonicalJson(present.policy) ? [] : ['another policy']),
  ];
}

function listDifferences<T>(
  what: string,
  idOf: (item: T) => string,
  meant: readonly T[],
  present: readonly T[],
): string[] {
  const known = new Map(present.map((item) => [idOf(item), canonicalJson(item)]));
  const ids = new Set(meant.map(idOf));
  const state = (item: T): string => {
    const found = known.get(idOf(item));
    return found === undefined ? 'missing' : found === canonicalJson(item) ? '' : 'with other content';
  };
  return [
    ...meant.flatMap((item) => (state(item) === '' ? [] : [`${what} ${idOf(item)} ${state(item)}`])),
    ...[...known.keys()].filter((id) => !ids.has(id)).map((id) => `${what} ${id} added`),
  ];
}
