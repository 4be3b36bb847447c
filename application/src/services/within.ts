// SPDX-License-Identifier: Apache-2.0
import { EXIT, SevError } from '../errors.js';

/**
 * Waits for an answer for so long. What comes later is dropped.
 *
 * @throws SevError SERVICE_TIMEOUT.
 */
export async function within<T>(timeoutMs: number, what: string, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const detail = `${what}: no answer within ${String(timeoutMs)} ms`;
      reject(new SevError('SERVICE_TIMEOUT', detail, { exitCode: EXIT.unreachable }));
    }, timeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
