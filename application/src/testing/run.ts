// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { runCli } from '../cli/program.js';
import type { TextStream } from '../cli/terminal.js';
import { reportSchema, type Report } from '../report/report.js';
import { testNetwork, type TestNetwork } from './network.js';

export class CapturedStream implements TextStream {
  text = '';
  constructor(readonly isTTY = false) {}
  write(text: string): void {
    this.text += text;
  }
}

export interface CliRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line of `sev` in this process. */
export async function sev(...args: string[]): Promise<CliRun> {
  const stdout = new CapturedStream();
  const stderr = new CapturedStream();
  const code = await runCli(args, { stdout, stderr, env: {} });
  return { code, stdout: stdout.text, stderr: stderr.text };
}

/** A finished federated run on the test network, made by the command line. */
export interface ExampleRun {
  readonly network: TestNetwork;
  readonly report: Report;
  readonly answer: CliRun;
  readonly runs: string;
  /** Folder of the store's objects. */
  readonly objects: string;
}

let made: Promise<ExampleRun> | undefined;

/** The one example run of this mocha process: 3 vehicles, 2 rounds, generated rows. */
export function exampleRun(): Promise<ExampleRun> {
  return (made ??= makeRun());
}

async function makeRun(): Promise<ExampleRun> {
  const network = await testNetwork();
  const { homes } = network;
  const runs = join(homes, '..', 'reports');
  process.env['SEV_NETWORK_HOME'] = network.networkHome;
  const options = ['--vehicles', '3', '--rounds', '2', '--task-id', 'price-example', '--homes', homes, '--runs', runs];
  const answer = await sev('round', 'run', ...options, '--json');
  if (answer.code !== 0) {
    throw new Error(`The example run failed: ${answer.stderr}`);
  }
  const report = reportSchema.parse(JSON.parse(answer.stdout));
  return { network, report, answer, runs, objects: join(homes, 'store', 'objects') };
}
