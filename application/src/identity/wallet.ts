// SPDX-License-Identifier: Apache-2.0
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Wallet, WalletStore, X509Identity } from 'fabric-network';
import { z } from 'zod';
import { parseFile, type OrganisationProfile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { PRIVATE_FILE, makePrivateDirectory, readIfThere, readJson, writeFileAtomic } from '../store/files.js';
import type { StoredIdentity } from './stored-identity.js';

const SUFFIX = '.id';
/** Labels become file names. */
const LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** What fabric-network's file system wallet writes for an X.509 identity. */
const walletFile = z.object({
  type: z.literal('X.509'),
  version: z.literal(1),
  mspId: z.string(),
  credentials: z.object({ certificate: z.string(), privateKey: z.string() }),
});

/** fabric-network's file system store, with files that only their owner can read and that are whole or absent. */
class PrivateFileStore implements WalletStore {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get(label: string): Promise<Buffer | undefined> {
    return readIfThere(this.path(label));
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.#directory);
    return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
  }

  async put(label: string, data: Buffer): Promise<void> {
    await writeFileAtomic(this.path(label), data, { mode: PRIVATE_FILE });
  }

  async remove(label: string): Promise<void> {
    await rm(this.path(label));
  }

  path(label: string): string {
    if (!LABEL.test(label)) {
      throw new SevError('LABEL_INVALID', `${JSON.stringify(label)} cannot name an identity`, { exitCode: EXIT.usage });
    }
    return join(this.#directory, label + SUFFIX);
  }
}

/** Identities of one home, in the format of fabric-network's file system wallets. */
export interface IdentityWallet {
  readonly directory: string;
  /** @returns undefined where there is none. @throws SevError FILE_MALFORMED. */
  find(label: string): Promise<StoredIdentity | undefined>;
  /** @throws SevError IDENTITY_MISSING, FILE_MALFORMED. */
  get(label: string): Promise<StoredIdentity>;
  put(identity: StoredIdentity): Promise<void>;
  /** Labels, sorted. */
  list(): Promise<string[]>;
  remove(label: string): Promise<void>;
  /** The same wallet for fabric-network's own functions. */
  fabricWallet(): Promise<Wallet>;
}

/** Opens the wallet in a directory, which is created so that only its owner can enter. */
export async function openWallet(directory: string): Promise<IdentityWallet> {
  await makePrivateDirectory(directory);
  const store = new PrivateFileStore(directory);
  let wallet: Promise<Wallet> | undefined;
  const fabricWallet = () => (wallet ??= newFabricWallet(store));
  // fabric-network takes half a second to load. Reading its files needs a schema only, so a program that just signs
  // does not wait for it.
  const find = async (label: string) => {
    const path = store.path(label);
    const value = await readJson(path);
    if (value === undefined) {
      return undefined;
    }
    const { mspId, credentials } = parseFile(walletFile, path, value);
    return { label, mspId, ...credentials };
  };
  return {
    directory,
    fabricWallet,
    find,
    get: async (label) => {
      const identity = await find(label);
      if (identity === undefined) {
        throw new SevError('IDENTITY_MISSING', `The wallet ${directory} holds no identity ${label}`, {
          hint: 'Enrol it first: `sev network up` makes the organisations, `sev vehicle enroll` the vehicles.',
          exitCode: EXIT.usage,
        });
      }
      return identity;
    },
    put: async ({ label, mspId, certificate, privateKey }) => {
      const identity: X509Identity = { type: 'X.509', mspId, credentials: { certificate, privateKey } };
      await (await fabricWallet()).put(label, identity);
    },
    list: async () => (await store.list()).sort(),
    remove: (label) => store.remove(label),
  };
}

/**
 * An identity from an organisation's wallet, which must be of that organisation.
 *
 * @throws SevError IDENTITY_MISSING, IDENTITY_FOREIGN.
 */
export async function identityOf(
  organisation: Pick<OrganisationProfile, 'name' | 'mspId'>,
  wallet: IdentityWallet,
  label: string,
): Promise<StoredIdentity> {
  const identity = await wallet.get(label);
  if (identity.mspId !== organisation.mspId) {
    const { name } = organisation;
    throw new SevError(
      'IDENTITY_FOREIGN',
      `${wallet.directory} holds identities of ${identity.mspId}, not of ${name}`,
      {
        hint: `Name the home of ${name} with --home, or another organisation with --org.`,
        exitCode: EXIT.usage,
      },
    );
  }
  return identity;
}

async function newFabricWallet(store: WalletStore): Promise<Wallet> {
  const { Wallet: FabricWallet } = await import('./fabric-sdk.js');
  return new FabricWallet(store);
}
