// SPDX-License-Identifier: Apache-2.0
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  canonicalJson,
  signStatement,
  signature as signatureText,
  verifyStatement,
  type HeMaskedStatement,
  type HeMasksStatement,
  type HeSumStatement,
  type HoldingsStatement,
  type OpeningStatement,
  type PartStatement,
  type ProjectionsStatement,
  type ReceiptStatement,
  type SumsStatement,
} from '@sev/chaincode/api';
import { z } from 'zod';
import { EXIT, SevError } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import type { NetworkName } from '../services/network-name.js';
import type { AttemptFolder } from './inbox.js';

export type AggregatorStatement = PartStatement | OpeningStatement | ReceiptStatement | OnceStatement;

/** The fields that the book fills in by itself. */
type Bound = 'consortium' | 'taskId' | 'round' | 'attempt' | 'mspId';
/** What a caller decides of a statement. */
export type Unsigned<S extends AggregatorStatement> = Omit<S, Bound>;

export interface Signed<S extends AggregatorStatement> {
  readonly statement: S;
  readonly signature: string;
}

/** Statements that an aggregator makes once an attempt. */
export type OnceStatement =
  HoldingsStatement | ProjectionsStatement | SumsStatement | HeSumStatement | HeMasksStatement | HeMaskedStatement;

const signedFile = z.object({ statement: z.looseObject({ type: z.string() }), signature: signatureText });

/**
 * Signs an organisation's statements as an aggregator. Those that others build on it signs once an attempt, with one
 * content: each is on disk before its signature is out, and the next time the one on disk is the answer, also after a
 * restart. Two contradicting statements would prove the organisation a liar.
 */
export class StatementBook {
  readonly mspId: string;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #network: NetworkName;

  constructor(mspId: string, key: KeyObject, network: NetworkName) {
    this.mspId = mspId;
    this.#key = key;
    this.#publicKey = createPublicKey(key);
    this.#network = network;
  }

  async sign<S extends AggregatorStatement>(ref: AttemptRef, content: Unsigned<S>): Promise<Signed<S>> {
    const consortium = await this.#network();
    const statement = { ...content, ...attemptOf(ref), consortium, mspId: this.mspId } as S;
    return { statement, signature: signStatement(statement, this.#key) };
  }

  /**
   * @param variant of the statement, where there are several of a type.
   * @returns what was signed before under this name.
   * @throws SevError STATEMENT_DAMAGED.
   */
  async signedBefore<S extends OnceStatement>(
    folder: AttemptFolder,
    type: S['type'],
    variant?: string,
  ): Promise<Signed<S> | undefined> {
    const value = await folder.statement(nameOf(type, variant));
    if (value === undefined) {
      return undefined;
    }
    const parsed = signedFile.safeParse(value);
    // A statement that verifies with the own key and names this attempt is the one that was written here.
    const statement = parsed.data?.statement as S | undefined;
    const own =
      statement?.type === type &&
      attemptKey(statement) === attemptKey(folder.ref) &&
      verifyStatement(statement, parsed.data?.signature ?? '', this.#publicKey);
    if (!own) {
      throw new SevError('STATEMENT_DAMAGED', `the file of the statement ${type} of ${attemptKey(folder.ref)}`, {
        hint: 'Restore it: without it nothing more is signed about this attempt.',
        exitCode: EXIT.integrity,
      });
    }
    return { statement, signature: parsed.data?.signature ?? '' };
  }

  /** True where a statement was signed under this name, whatever became of it. */
  async hasSigned(folder: AttemptFolder, type: OnceStatement['type']): Promise<boolean> {
    return (await folder.statement(nameOf(type))) !== undefined;
  }

  /**
   * Signs a statement, or returns the one that was signed first.
   *
   * @param variant of the statement, where there are several of a type: each is signed once.
   * @throws SevError STORAGE_FULL, STORAGE_FAILED, STATEMENT_DAMAGED.
   */
  async signOnce<S extends OnceStatement>(
    folder: AttemptFolder,
    type: S['type'],
    content: Omit<Unsigned<S>, 'type'>,
    variant?: string,
  ): Promise<Signed<S>> {
    const before = await this.signedBefore<S>(folder, type, variant);
    if (before !== undefined) {
      return before;
    }
    const signed = await this.sign<S>(folder.ref, { ...content, type } as unknown as Unsigned<S>);
    const kept = await folder.keepStatement(nameOf(type, variant), signed);
    // Another process of the same home was first.
    return kept ? signed : ((await this.signedBefore<S>(folder, type, variant)) ?? signed);
  }
}

/** `sev/holdings/v1` → `holdings`; of a variant `projections-3`. */
function nameOf(type: OnceStatement['type'], variant?: string): string {
  const name = type.split('/')[1] ?? type;
  return variant === undefined ? name : `${name}-${variant}`;
}

/**
 * What was signed before a restart must be what is computed now: what it was computed from may have been lost or changed.
 *
 * @throws SevError STATEMENT_CONFLICT.
 */
export function insistOnSame(ref: AttemptRef, signed: object, content: object): void {
  const before = signed as Record<string, unknown>;
  if (!Object.entries(content).every(([name, value]) => canonicalJson(before[name] ?? null) === canonicalJson(value))) {
    throw new SevError('STATEMENT_CONFLICT', `${attemptKey(ref)}: another statement of this kind is signed already`, {
      hint: 'Nothing was signed or shown.',
      exitCode: EXIT.integrity,
    });
  }
}
