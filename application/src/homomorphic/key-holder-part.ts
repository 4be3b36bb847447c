// SPDX-License-Identifier: Apache-2.0
import { sha256Hex, type CommitHeSum, type HeMaskedStatement, type HeSumStatement } from '@sev/chaincode/api';
import {
  ciphertextsFor,
  ciphertextsFromBytes,
  HE_PARAMETERS,
  HeError,
  HeKeyHolder,
  openHeSum,
  slotsFromBytes,
  slotsToBytes,
} from '@sev/fl';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { isSigned } from '../services/signed-statements.js';
import { heLengthOf, heSumTermsOf, heTermsOf } from './he-task.js';
import { FROM_COHORT, preparedAttempt, withCodes, type PartyParts, type PreparedAttempt } from './parts.js';
import { storageKeyOf } from './party-files.js';

/**
 * The key holder: a fresh key pair for every attempt, the secret key in memory only and destroyed once it has decrypted one
 * sum. What it decrypted is kept on the disk, masked as it is, until the ledger shows that it is time.
 */
export class KeyHolderPart {
  readonly #parts: PartyParts;
  readonly #keys = new Map<string, HeKeyHolder>();

  constructor(parts: PartyParts) {
    this.#parts = parts;
  }

  /** @returns SHA-256 of the public key, which is in the store. An attempt that was never opened gets another after a restart. */
  async prepare(ref: AttemptRef): Promise<string> {
    const runtime = await this.#parts.runtime();
    this.#forgetOthers(ref);
    const key = this.#keys.get(attemptKey(ref)) ?? new HeKeyHolder(runtime);
    this.#keys.set(attemptKey(ref), key);
    await this.#parts.store.put(key.publicKey);
    return key.keyHash;
  }

  /** @throws SevError KEY_HOLDER_LOST */
  keyHash(ref: AttemptRef): string {
    return this.#keyOf(ref).keyHash;
  }

  /** See `HePartyClient.decrypt`. */
  async decrypt(ref: AttemptRef, sum: CommitHeSum['sum']): Promise<CommitHeSum['masked']> {
    const attempt = await preparedAttempt(this.#parts, ref, FROM_COHORT, 'key-holder');
    const { sumHash } = sum;
    const before = await this.#parts.book.signedBefore<HeMaskedStatement>(attempt.folder, 'sev/he-masked/v1');
    if (before !== undefined) {
      if (before.statement.sumHash !== sumHash) {
        throw new SevError('ALREADY_OPENED', `another sum of ${attemptKey(ref)} was decrypted`, {
          exitCode: EXIT.refused,
        });
      }
      return { maskedHash: before.statement.maskedHash, signature: before.signature };
    }
    await this.#insistOnSummer(attempt, sum);
    const masked = (await this.opened(attempt, sumHash)) ?? (await this.#decrypt(attempt, sumHash));
    const content = { cohortHash: attempt.round.he.cohortHash ?? '', sumHash, maskedHash: sha256Hex(masked) };
    const signed = await this.#parts.book.signOnce<HeMaskedStatement>(attempt.folder, 'sev/he-masked/v1', content);
    this.forget(ref);
    const { maskedHash } = signed.statement;
    if (maskedHash !== content.maskedHash) {
      throw new SevError('ALREADY_OPENED', `another sum of ${attemptKey(ref)} was decrypted`);
    }
    return { maskedHash, signature: signed.signature };
  }

  /** What a sum decrypted to, as it is kept. */
  opened({ folder, secrets }: PreparedAttempt, sumHash: string): Promise<Uint8Array | undefined> {
    return folder.share(openedName(sumHash), storageKeyOf(secrets));
  }

  /**
   * What a sum decrypted to, once the masks in the store fit it. A sum over others than the cohort, or of something that is no
   * report at all, carries other masks: shown, it would let the mask holder take them off.
   *
   * @throws SevError SUM_INVALID where they do not fit; OBJECT_MISSING where the masks are not in the store.
   */
  async fitting(attempt: PreparedAttempt): Promise<Uint8Array | undefined> {
    const { task, round } = attempt;
    const { sumHash = '', masksHash = '', opening } = round.he;
    const masked = await this.opened(attempt, sumHash);
    if (masked === undefined) {
      return undefined;
    }
    const masks = await this.#parts.store.get(masksHash);
    const length = heLengthOf(task);
    try {
      const terms = heSumTermsOf(task, opening.publicKeyHash);
      openHeSum({ terms, masked: slotsFromBytes(masked, length), masks: slotsFromBytes(masks, length) });
    } catch (cause) {
      if (cause instanceof HeError) {
        const detail = `the sum of ${attemptKey(round)} and the masks do not fit; nothing was published`;
        throw new SevError('SUM_INVALID', detail, { exitCode: EXIT.integrity, cause });
      }
      throw cause;
    }
    return masked;
  }

  /** Destroys the secret key of an attempt. */
  forget(ref: AttemptRef): void {
    this.#keys.get(attemptKey(ref))?.close();
    this.#keys.delete(attemptKey(ref));
  }

  close(): void {
    this.#keys.forEach((key) => {
      key.close();
    });
    this.#keys.clear();
  }

  async #decrypt(attempt: PreparedAttempt, sumHash: string): Promise<Uint8Array> {
    const { folder, secrets, round, task } = attempt;
    const key = this.#keyOf(round);
    if (key.keyHash !== round.he.opening.publicKeyHash) {
      throw lost(round);
    }
    const bytes = await this.#parts.store.get(sumHash);
    if (sha256Hex(bytes) !== sumHash) {
      throw new SevError('CONTENT_HASH_MISMATCH', `the store gave other bytes for the sum ${sumHash}`);
    }
    const masked = await withCodes(() =>
      slotsToBytes(key.decrypt(ciphertextsFromBytes(bytes, ciphertextsFor(heLengthOf(task), HE_PARAMETERS)))),
    );
    await folder.keepShare(openedName(sumHash), Buffer.from(masked), storageKeyOf(secrets));
    this.#parts.log.info({ ...attemptOf(round) }, 'decrypted a masked sum');
    return masked;
  }

  /** Only what the summer answers for is decrypted. */
  async #insistOnSummer({ task, round }: PreparedAttempt, { sumHash, signature }: CommitHeSum['sum']): Promise<void> {
    const consortium = await this.#parts.view.consortium();
    const { summer: mspId } = heTermsOf(task);
    const statement: HeSumStatement = {
      type: 'sev/he-sum/v1',
      consortium: consortium.bootstrapHash,
      ...{ ...attemptOf(round), mspId, cohortHash: round.he.cohortHash ?? '', sumHash },
    };
    if (!isSigned(consortium, { mspId, signature }, statement)) {
      throw new SevError('SIGNATURE_INVALID', `${mspId} did not sign this sum`, { exitCode: EXIT.refused });
    }
  }

  #keyOf(ref: AttemptRef): HeKeyHolder {
    const key = this.#keys.get(attemptKey(ref));
    if (key === undefined) {
      throw lost(ref);
    }
    return key;
  }

  /** Of one task only the next attempt can still be opened, so keys of others are of no use. */
  #forgetOthers({ taskId, round, attempt }: AttemptRef): void {
    for (const [name, key] of this.#keys) {
      if (name.startsWith(`${taskId}/`) && name !== attemptKey({ taskId, round, attempt })) {
        key.close();
        this.#keys.delete(name);
      }
    }
  }
}

function openedName(sumHash: string): string {
  return `opened-${sumHash}`;
}

function lost(ref: AttemptRef): SevError {
  return new SevError('KEY_HOLDER_LOST', `the key of ${attemptKey(ref)} is gone: it was in memory only`, {
    hint: 'The round is aborted; the next attempt gets a fresh key.',
    exitCode: EXIT.refused,
  });
}
