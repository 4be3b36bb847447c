// SPDX-License-Identifier: Apache-2.0
import { EXIT_CODES } from './exit-codes.js';

/** Ctrl-C and SIGTERM. A command that does not ask for the signal is simply ended by them. */
export class Interrupt {
  readonly #controller = new AbortController();
  #claimed = false;
  #received: NodeJS.Signals | undefined;

  readonly #listener = (signal: NodeJS.Signals): void => {
    const again = this.#received !== undefined;
    this.#received = signal;
    if (!this.#claimed || again) {
      process.exit(EXIT_CODES.interrupted.code);
    }
    this.#controller.abort();
  };

  listen(): void {
    process.on('SIGINT', this.#listener);
    process.on('SIGTERM', this.#listener);
  }

  /** From now on the command ends by itself when the signal is aborted; a second Ctrl-C ends it at once. */
  claim(): AbortSignal {
    this.#claimed = true;
    return this.#controller.signal;
  }

  get received(): NodeJS.Signals | undefined {
    return this.#received;
  }
}
