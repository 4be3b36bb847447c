// SPDX-License-Identifier: Apache-2.0
import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { attemptNumber, envelope, hash, identifier, roundNumber, type Envelope } from '@sev/chaincode/api';
import { z } from 'zod';
import { SevError, systemCode } from '../errors.js';
import { attemptKey, attemptOf, type AttemptRef } from '../services/attempt.js';
import { PRIVATE_FILE, makePrivateDirectory, readIfThere, syncDirectory } from '../store/files.js';

/** The attempt that envelopes are for, and the model that it starts from: all that a batch says once. */
export interface EnvelopePlace extends AttemptRef {
  readonly baseModelHash: string;
}

/** What an outbox holds of one attempt. */
export interface KeptEnvelopes {
  readonly place: EnvelopePlace;
  readonly envelopes: readonly Envelope[];
}

const line = z.strictObject({
  taskId: identifier,
  round: roundNumber,
  attempt: attemptNumber,
  baseModelHash: hash,
  envelope,
});

const SUFFIX = '.jsonl';

/**
 * Envelopes that were accepted and may not be on the ledger yet: one file an attempt, one line an envelope, only ever
 * appended to and removed with the attempt. What is on the ledger is not struck out: recording it again is harmless.
 */
export class Outbox {
  readonly #directory: string;
  readonly #files = new Map<string, OutboxFile>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<Outbox> {
    await makePrivateDirectory(directory);
    return new Outbox(directory);
  }

  /**
   * Resolves once the envelope is on the disk. Envelopes that come at the same time share one write.
   *
   * @throws SevError STORAGE_FULL, STORAGE_FAILED.
   */
  async keep(place: EnvelopePlace, kept: Envelope): Promise<void> {
    const { taskId, round, attempt, baseModelHash } = place;
    const text = JSON.stringify({ taskId, round, attempt, baseModelHash, envelope: kept } satisfies z.input<
      typeof line
    >);
    try {
      await this.#fileOf(place).append(text);
    } catch (error) {
      throw storageError(error);
    }
  }

  /** What an earlier process left. Lines that were cut off while they were written were never acknowledged. */
  async kept(): Promise<KeptEnvelopes[]> {
    const all: KeptEnvelopes[] = [];
    for (const task of await readdir(this.#directory, { withFileTypes: true })) {
      const names = task.isDirectory() ? await readdir(join(this.#directory, task.name)) : [];
      for (const name of names.filter((one) => one.endsWith(SUFFIX))) {
        const text = (await readIfThere(join(this.#directory, task.name, name)))?.toString('utf8') ?? '';
        all.push(...byAttempt(text.split('\n').flatMap(lineOf)));
      }
    }
    return all;
  }

  /** Forgets an attempt that is over. */
  async drop(ref: AttemptRef): Promise<void> {
    const file = this.#fileOf(ref);
    this.#files.delete(attemptKey(ref));
    await file.remove();
  }

  /** Closes the files; what is in them stays. */
  async close(): Promise<void> {
    await Promise.all([...this.#files.values()].map((file) => file.close()));
    this.#files.clear();
  }

  #fileOf(ref: AttemptRef): OutboxFile {
    const key = attemptKey(ref);
    const { taskId, round, attempt } = ref;
    const known =
      this.#files.get(key) ??
      new OutboxFile(join(this.#directory, taskId), `${String(round)}-${String(attempt)}${SUFFIX}`);
    this.#files.set(key, known);
    return known;
  }
}

/** A file that grows by whole lines, each on the disk before whoever appended it goes on. */
class OutboxFile {
  readonly #directory: string;
  readonly #path: string;
  #opening: Promise<FileHandle> | undefined;
  #lines: string[] = [];
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#path = join(directory, name);
  }

  append(text: string): Promise<void> {
    this.#lines.push(text);
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#writing = this.#next ?? Promise.resolve();
        this.#next = undefined;
        return this.#write(this.#lines.splice(0));
      });
    return this.#next;
  }

  async remove(): Promise<void> {
    await this.close();
    await rm(this.#path, { force: true });
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#writing).catch(() => undefined);
    await this.#closeFile();
  }

  async #write(lines: readonly string[]): Promise<void> {
    this.#opening ??= this.#open();
    try {
      const file = await this.#opening;
      // The leading break ends a line that a crash or a full disk has cut off.
      await file.appendFile(`\n${lines.join('\n')}\n`);
      await file.datasync();
    } catch (error) {
      await this.#closeFile();
      throw error;
    }
  }

  async #closeFile(): Promise<void> {
    const file = await this.#opening?.catch(() => undefined);
    this.#opening = undefined;
    await file?.close();
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#directory, { recursive: true });
    const file = await open(this.#path, 'a', PRIVATE_FILE);
    await syncDirectory(this.#directory);
    await syncDirectory(join(this.#directory, '..'));
    return file;
  }
}

function lineOf(text: string): (EnvelopePlace & { readonly envelope: Envelope })[] {
  try {
    const parsed = line.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return []; // A break between lines, or a line that was cut off.
  }
}

function byAttempt(lines: ReturnType<typeof lineOf>): KeptEnvelopes[] {
  const found = new Map<string, { place: EnvelopePlace; envelopes: Envelope[] }>();
  for (const { envelope: kept, ...place } of lines) {
    const key = attemptKey(place);
    const group = found.get(key) ?? {
      place: { ...attemptOf(place), baseModelHash: place.baseModelHash },
      envelopes: [],
    };
    group.envelopes.push(kept);
    found.set(key, group);
  }
  return [...found.values()];
}

function storageError(error: unknown): unknown {
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new SevError('STORAGE_FULL', 'the disk of the batcher is full', {
      hint: 'Make room; vehicles go elsewhere meanwhile.',
      cause: error,
    });
  }
  return code === undefined
    ? error
    : new SevError('STORAGE_FAILED', `the disk of the batcher fails (${code})`, { cause: error });
}
