// SPDX-License-Identifier: Apache-2.0
import { status } from '@grpc/grpc-js';
import { CommitError, GatewayError, type ErrorDetail } from '@hyperledger/fabric-gateway';
import type { Json } from './scenario.js';

/** What stands for text that differs from run to run, longest pattern first. */
const PLACEHOLDERS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:[0-9a-f]{2}){65,}\b/g, '<creator>'],
  [/\b[0-9a-f]{64}\b/g, '<hash>'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))*/g, '<time>'],
  [/(?:localhost|127\.0\.0\.1|\[::1\]|[a-z][a-z0-9.-]*\.localhost):\d{2,5}\b/g, '<address>'],
  // The client's own words, which depend on how far it had come.
  [/\bDeadline exceeded after .*/g, 'Deadline exceeded after <duration>'],
  [/^(?:No connection established|Connection dropped|read ECONNRESET).*/g, '<no connection>'],
  [/(?<=BlockNum: )\d+/g, '<number>'],
  [/(?<=message payload is |larger than max \()\d+/g, '<bytes>'],
];

/** How the client words the status with which a stream of blocks ends. */
const DELIVER_STATUS = /^Unexpected status response: /;

/** Which organisations an error's details name. */
export interface ErrorOptions {
  /** The only one that is named, where it is a matter of chance which others answer. */
  readonly onlyMspId?: string;
}

/** Details without names: any organisation may answer. */
export const ANY_ORGANISATION: ErrorOptions = { onlyMspId: '' };

/** Replaces ids, hashes, addresses and times by placeholders. */
export class Normaliser {
  readonly #runId: string;

  /** @param runId part of every key of a run. */
  constructor(runId: string) {
    this.#runId = runId;
  }

  text(value: string): string {
    return PLACEHOLDERS.reduce(
      (text, [pattern, placeholder]) => text.replace(pattern, placeholder),
      value.replaceAll(this.#runId, '<run>'),
    );
  }

  /** Normalises every text in a value. */
  json(value: Json): Json {
    if (typeof value === 'string') {
      return this.text(value);
    }
    if (value === null || typeof value !== 'object') {
      return value;
    }
    return Array.isArray(value)
      ? value.map((item: Json) => this.json(item))
      : Object.fromEntries(Object.entries(value).map(([field, item]) => [this.text(field), this.json(item)]));
  }

  /** An error of the Gateway client: class, code, message and sorted details; others are thrown on. */
  error(error: unknown, options: ErrorOptions = {}): Json {
    if (error instanceof CommitError) {
      return { error: error.name, commitCode: error.code, message: this.text(error.message) };
    }
    if (error instanceof GatewayError) {
      return {
        error: error.name,
        code: status[error.code] ?? String(error.code),
        message: this.text(error.message.replace(/^\d+ [A-Z_]+: /, '')),
        details: this.#details(error.details, options),
      };
    }
    if (error instanceof Error && DELIVER_STATUS.test(error.message)) {
      return { error: error.name, message: error.message };
    }
    throw error;
  }

  #details(details: readonly ErrorDetail[], { onlyMspId }: ErrorOptions): Json {
    const lines = details.map(({ address, mspId, message }) => {
      const organisation = onlyMspId === undefined || mspId === onlyMspId ? mspId : '<any>';
      return `${organisation} at ${this.text(address)}: ${this.text(message)}`;
    });
    return lines.sort();
  }
}
