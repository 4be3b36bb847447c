// SPDX-License-Identifier: Apache-2.0
import { reportContext, ringBitsOfTerms, signature } from '@sev/chaincode/api';
import {
  heldShareBytes,
  heldShareFromBytes,
  openShare,
  readShare,
  SecureError,
  type HeldShare,
  type ShareTerms,
} from '@sev/fl';
import { z } from 'zod';
import { EXIT, SevError } from '../errors.js';
import { attemptOf } from '../services/attempt.js';
import { errorCode } from '../services/log.js';
import { isAbsent } from '../services/round-outcome.js';
import type { ObjectStore } from '../store/object-store.js';
import { storageKeyOf, type AttemptSecrets } from './attempt-secrets.js';
import type { DealPlace } from './deals.js';
import type { AttemptFolder, ReadOptions } from './inbox.js';
import type { SecureTask } from './ledger-view.js';

/** A share as it lies on the disk: checked when it came, with the receipt that was given for it. */
export interface HeldReport {
  readonly share: HeldShare;
  /** The receipt's signature; empty for noise, which nobody gets a receipt for. */
  readonly receipt: string;
}

/** What a report's shares are checked by. */
interface ReportPlace {
  readonly task: SecureTask;
  readonly place: DealPlace;
  readonly store: ObjectStore;
}

const header = z.strictObject({ receipt: z.union([signature, z.literal('')]) });
/** Between header and share. */
const NEWLINE = 0x0a;

/** Opens sealed shares for one aggregator of a task, and keeps them in an attempt's folder. */
export class HeldReports {
  readonly #folder: AttemptFolder;
  readonly #secrets: AttemptSecrets;
  readonly #storageKey: Uint8Array;

  constructor(folder: AttemptFolder, secrets: AttemptSecrets) {
    this.#folder = folder;
    this.#secrets = secrets;
    this.#storageKey = storageKeyOf(secrets);
  }

  /**
   * Opens a sealed share and checks it against the commitment root that its reporter signed.
   *
   * @param reporter a vehicle's id, or the name of noise as in `reportContext`.
   * @throws SevError SHARE_UNREADABLE, SHARE_MALFORMED, SHARE_MISMATCH, SHARE_INCOMPLETE; STORE_UNREACHABLE and the like
   *   where the store did not answer.
   */
  open(place: ReportPlace, reporter: string, root: string, sealed: string): Promise<HeldShare> {
    return checkedShare(
      openShare({
        ...shareTermsOf(place, reporter, root),
        sealed: Buffer.from(sealed, 'base64'),
        privateKey: Buffer.from(this.#secrets.sealingKey, 'base64'),
      }),
    );
  }

  /** As `open`, for a share that is not sealed by itself: one aggregator's noise comes inside its deal. */
  read(place: ReportPlace, reporter: string, root: string, share: Uint8Array): Promise<HeldShare> {
    return checkedShare(readShare(share, shareTermsOf(place, reporter, root)));
  }

  /** @returns false where there is one of this name already. @throws SevError STORAGE_FULL, STORAGE_FAILED. */
  keep(name: string, { share, receipt }: HeldReport): Promise<boolean> {
    const bytes = Buffer.concat([Buffer.from(`${JSON.stringify({ receipt })}\n`), heldShareBytes(share)]);
    return this.#folder.keepShare(name, bytes, this.#storageKey);
  }

  /** @returns undefined where there is none. @throws SevError SHARE_DAMAGED. */
  async find(name: string, options: ReadOptions = {}): Promise<HeldReport | undefined> {
    const bytes = await this.#folder.share(name, this.#storageKey, options);
    if (bytes === undefined) {
      return undefined;
    }
    const end = bytes.indexOf(NEWLINE);
    const { receipt } = header.parse(JSON.parse(bytes.subarray(0, end).toString('utf8')));
    return { share: heldShareFromBytes(bytes.subarray(end + 1)), receipt };
  }

  /**
   * The report with exactly this root.
   *
   * @throws SevError SHARE_LOST where it is not here or damaged.
   */
  async get(name: string, root: string): Promise<HeldShare> {
    const found = await this.findIntact(name);
    if (found?.share.root !== root) {
      throw new SevError('SHARE_LOST', `the share of ${name} is not here, or not as it came`, {
        hint: 'Another holder of its components has to answer for them.',
        exitCode: EXIT.integrity,
      });
    }
    return found.share;
  }

  /** As `find`, and undefined for a damaged one too. */
  async findIntact(name: string, options: ReadOptions = {}): Promise<HeldReport | undefined> {
    try {
      return await this.find(name, options);
    } catch (error) {
      if (errorCode(error) === 'SHARE_DAMAGED') {
        return undefined;
      }
      throw error;
    }
  }
}

export function contextOf(place: DealPlace, reporter: string): string {
  const { consortium, baseModelHash } = place;
  return reportContext({ consortium, ...attemptOf(place), baseModelHash, reporter });
}

function shareTermsOf({ task, place, store }: ReportPlace, reporter: string, root: string): ShareTerms {
  return {
    context: contextOf(place, reporter),
    root,
    aggregator: task.index,
    holders: task.holders,
    length: task.length,
    ringBits: ringBitsOfTerms(task.terms),
    fetch: (hash) => store.get(hash),
  };
}

async function checkedShare(share: Promise<HeldShare>): Promise<HeldShare> {
  try {
    return await share;
  } catch (error) {
    throw refusalOf(error);
  }
}

/** A store that does not answer is an outage, not a fault of the share. */
function refusalOf(error: unknown): unknown {
  if (!(error instanceof SecureError)) {
    return error;
  }
  const { cause } = error;
  if (error.code === 'SHARE_INCOMPLETE' && cause instanceof SevError && !isAbsent(cause)) {
    return cause;
  }
  return new SevError(error.code, error.detail, { exitCode: EXIT.refused, cause: error });
}
