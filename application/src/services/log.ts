// SPDX-License-Identifier: Apache-2.0

type LogMethod = (fields: object, message: string) => void;

/** What services need of a structured logger; a pino logger is one. Nothing secret is ever passed to it. */
export interface ServiceLog {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
}

const nothing: LogMethod = () => undefined;

/** A log that keeps nothing. */
export const silentLog: ServiceLog = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** The loggable part of a failure: its name, code (where it has one) and text. */
export function failureFields(error: unknown): { error: string; code?: string } {
  if (!(error instanceof Error)) {
    return { error: String(error) };
  }
  const code = errorCode(error);
  return code === undefined ? { error: error.message } : { error: error.message, code };
}

/** The stable code of a typed error; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
