// SPDX-License-Identifier: Apache-2.0

/** Why an engine cannot do the work, and the way out. */
export const ENGINE_ERROR_CODES = {
  ENGINE_UNKNOWN: 'No engine of this name; take one of ENGINE_NAMES.',
  ENGINE_MISSING: 'The engine is not installed or does not start here; install it or name another.',
  ENGINE_UNFIT: 'The engine cannot do a model of this architecture; name one that can.',
  ENGINE_CLOSED: 'The engine has been closed; ask for a new one.',
  MODEL_TOO_LARGE: 'The model exceeds the bounds that the engine was given; take a smaller model or wider bounds.',
} as const;
export type EngineErrorCode = keyof typeof ENGINE_ERROR_CODES;

/** Work that an engine cannot take. Its text is `CODE: what and what to do`. */
export class EngineError extends Error {
  readonly code: EngineErrorCode;
  readonly detail: string;

  constructor(code: EngineErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.name = 'EngineError';
    this.code = code;
    this.detail = detail;
  }
}
