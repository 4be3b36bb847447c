// SPDX-License-Identifier: Apache-2.0
import { stripVTControlCharacters } from 'node:util';
import pico from 'picocolors';
import type { Problem } from './problem.js';

/** A stream that a command writes to; `process.stdout` is one. */
export interface TextStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface TerminalOptions {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** One JSON document on stdout instead of text. */
  readonly json: boolean;
}

export type Paint = ReturnType<typeof pico.createColors>;

/** Colour only where a person looks on: not when piped, not with NO_COLOR (no-color.org) or TERM=dumb. */
export function wantsColour(stream: TextStream, env: TerminalOptions['env']): boolean {
  const forbidden = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return stream.isTTY === true && !forbidden;
}

/** How commands talk: the answer on stdout, everything else on stderr. */
export class Terminal {
  readonly json: boolean;
  /** Styles of stdout. */
  readonly paint: Paint;
  readonly #options: TerminalOptions;
  readonly #errorPaint: Paint;
  #lineOpen = false;

  constructor(options: TerminalOptions) {
    this.#options = options;
    this.json = options.json;
    this.paint = pico.createColors(wantsColour(options.stdout, options.env));
    this.#errorPaint = pico.createColors(wantsColour(options.stderr, options.env));
  }

  /** The answer: text for people, or the data as one JSON document. */
  answer(data: unknown, text: string): void {
    this.#endLine();
    this.#options.stdout.write(this.json ? `${JSON.stringify(data)}\n` : text === '' ? '' : `${text}\n`);
  }

  /** Text beside the answer, for people only. */
  note(text: string): void {
    this.#endLine();
    this.#options.stderr.write(`${this.#errorPaint.dim(text)}\n`);
  }

  warn(text: string): void {
    this.#endLine();
    this.#options.stderr.write(`${this.#errorPaint.yellow('warning')} ${text}\n`);
  }

  problem(problem: Problem): void {
    this.#endLine();
    const { red, bold } = this.#errorPaint;
    this.#options.stderr.write(`${red(bold(problem.code))}: ${problem.message}\n`);
    if (problem.hint !== undefined) {
      this.#options.stderr.write(`→ ${problem.hint}\n`);
    }
    if (this.json) {
      const { exitCode, ...error } = problem;
      this.#options.stdout.write(`${JSON.stringify({ error, exitCode })}\n`);
    }
  }

  /** Replaces the last status line on a terminal; elsewhere each status is a line of its own. */
  status(text: string): void {
    const { stderr } = this.#options;
    if (stderr.isTTY !== true) {
      stderr.write(`${text}\n`);
      return;
    }
    const width = Math.max(20, (stderr.columns ?? 80) - 1);
    const plain = stripVTControlCharacters(text);
    stderr.write(`\r\u001b[K${this.#errorPaint.cyan(plain.slice(0, width))}`);
    this.#lineOpen = true;
  }

  get isLive(): boolean {
    return this.#options.stderr.isTTY === true;
  }

  #endLine(): void {
    if (this.#lineOpen) {
      this.#options.stderr.write('\r\u001b[K');
      this.#lineOpen = false;
    }
  }
}
