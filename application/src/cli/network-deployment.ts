// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { DeploymentResult } from '@sev/network';
import { z } from 'zod';
import { EXIT, SevError, systemCode } from '../errors.js';
import { addCommand, type Answer, type Runner } from './command.js';

interface DeployOptions {
  readonly name?: string;
  readonly chaincodeVersion?: string;
  readonly policy?: string;
  readonly collections?: string;
}

/** Chaincode on a running network: another one, or the next version of the consortium's. */
export function networkDeploymentCommands(group: Command, run: Runner): void {
  addCommand<DeployOptions>(group, run, {
    usage: 'deploy <folder>',
    summary: 'run a chaincode package on the network: install, approve and commit it',
    examples: ['sev network deploy ../asset-transfer', 'sev network deploy ../auction --collections collections.json'],
    notes:
      'The folder is a compiled Node chaincode package with its dependencies installed. Doing it again with other code\n' +
      'upgrades it; its state stays. Organisations apart each run it with the same code; it is committed when a majority has.',
    options: (command) => {
      command
        .option('--name <name>', "name on the channel (default: the package's)")
        .option('--chaincode-version <version>', "version of the definition (default: the package's)")
        .option('--policy <policy>', 'endorsement policy, as in "OR(\'GridOperatorMSP.peer\')" (default: a majority)')
        .option('--collections <file>', 'private data collections');
    },
    work: async ({ terminal }, options, [folder = '.']) => {
      const path = resolve(folder);
      const manifest = await readManifest(path);
      const { deployChaincode } = await import('@sev/network');
      const result = await deployChaincode(
        {
          path,
          name: options.name ?? manifest.name.replace(/^@/, '').replaceAll('/', '-'),
          version: options.chaincodeVersion ?? manifest.version,
          signaturePolicy: options.policy,
          collections: options.collections === undefined ? undefined : resolve(options.collections),
        },
        {
          onProgress: (message) => {
            terminal.status(message);
          },
        },
      );
      return deploymentAnswer(result);
    },
  });
  addCommand(group, run, {
    usage: 'upgrade',
    summary: "bring the consortium's chaincode to the code that lies in its folder now; the ledger stays",
    examples: ['sev network upgrade'],
    notes: 'Organisations apart each run it with the same code; it is committed when a majority has approved it.',
    work: async ({ terminal }) => {
      const { upgradeChaincode } = await import('@sev/network');
      return deploymentAnswer(
        await upgradeChaincode({
          onProgress: (message) => {
            terminal.status(message);
          },
        }),
      );
    },
  });
}

const manifestSchema = z.object({ name: z.string(), version: z.string() });

async function readManifest(folder: string): Promise<z.infer<typeof manifestSchema>> {
  const file = join(folder, 'package.json');
  const refuse = (reason: string, cause: unknown): SevError =>
    new SevError('CHAINCODE_INVALID', `${folder} is no chaincode package: ${reason}`, { exitCode: EXIT.usage, cause });
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw refuse(`${file} cannot be read (${systemCode(error) ?? String(error)})`, error);
  }
  try {
    return manifestSchema.parse(JSON.parse(text));
  } catch (error) {
    throw refuse(`${file} has no name and version`, error);
  }
}

function deploymentAnswer(result: DeploymentResult): Answer {
  const { name, version, sequence, packageId, committed, missing } = result;
  const definition = `${name} ${version}, sequence ${String(sequence)}`;
  const text = committed
    ? `${definition} is committed\npackage ${packageId}`
    : `${definition} is approved here and waits for a majority; not yet approved by ${missing.join(', ')}\npackage ${packageId}`;
  return { data: result, text };
}
