// SPDX-License-Identifier: Apache-2.0
import type { SignedBy } from '@sev/chaincode/api';
import { MAX_SHARES_TOGETHER, type ShareSubmission } from '../aggregator/share-submission.js';

/** Posts several shares to one aggregator; results in their order. */
type PostTogether = (
  submissions: readonly ShareSubmission[],
  signal: AbortSignal,
) => Promise<PromiseSettledResult<SignedBy>[]>;

interface Waiting {
  readonly submission: ShareSubmission;
  readonly signal: AbortSignal;
  readonly resolve: (receipt: SignedBy) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests under way to one aggregator: the next are gathered meanwhile. */
const AT_A_TIME = 2;

/**
 * Shares for one aggregator. What vehicles of a pool have ready while requests are under way goes out together in the
 * next: a request for each would cost more than the shares.
 */
export class ShareQueue {
  readonly #post: PostTogether;
  #waiting: Waiting[] = [];
  #underWay = 0;

  constructor(post: PostTogether) {
    this.#post = post;
  }

  /** @throws as `postShare`; the signal's reason once it is aborted. */
  async post(submission: ShareSubmission, signal: AbortSignal): Promise<SignedBy> {
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        reject(signal.reason as Error);
      };
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal.removeEventListener('abort', abort);
          settle(value);
        };
      signal.addEventListener('abort', abort);
      this.#waiting.push({ submission, signal, resolve: settled(resolve), reject: settled(reject) });
      // After this turn, so that what is ready in it goes together.
      setImmediate(() => {
        this.#pump();
      });
    });
  }

  #pump(): void {
    this.#waiting = this.#waiting.filter(({ signal }) => !signal.aborted);
    while (this.#underWay < AT_A_TIME && this.#waiting.length > 0) {
      void this.#send(this.#waiting.splice(0, MAX_SHARES_TOGETHER));
    }
  }

  async #send(group: readonly Waiting[]): Promise<void> {
    this.#underWay++;
    try {
      const results = await this.#post(
        group.map(({ submission }) => submission),
        whenAllAborted(group.map(({ signal }) => signal)),
      );
      group.forEach(({ resolve, reject }, index) => {
        const result = results[index];
        if (result?.status === 'fulfilled') {
          resolve(result.value);
        } else {
          reject(result?.reason);
        }
      });
    } catch (error) {
      group.forEach(({ reject }) => {
        reject(error);
      });
    } finally {
      this.#underWay--;
      this.#pump();
    }
  }
}

/** Aborted once nobody waits for the request any more. */
function whenAllAborted(signals: readonly AbortSignal[]): AbortSignal {
  const all = new AbortController();
  let left = signals.length;
  const one = (): void => {
    left--;
    if (left === 0) {
      all.abort();
    }
  };
  signals.forEach((signal) => {
    signal.addEventListener('abort', one, { once: true });
  });
  return all.signal;
}
