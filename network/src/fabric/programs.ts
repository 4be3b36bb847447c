// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { NetworkError } from '../errors.js';

const run = promisify(execFile);

/** Fabric's programs that a native network runs, with the oldest release that will do. */
const REQUIRED = {
  peer: { release: 'Hyperledger Fabric', minimum: [3, 1, 4] },
  orderer: { release: 'Hyperledger Fabric', minimum: [3, 1, 4] },
  osnadmin: { release: 'Hyperledger Fabric', minimum: [3, 1, 4] },
  configtxgen: { release: 'Hyperledger Fabric', minimum: [3, 1, 4] },
  configtxlator: { release: 'Hyperledger Fabric', minimum: [3, 1, 4] },
  'fabric-ca-server': { release: 'Hyperledger Fabric CA', minimum: [1, 5, 13] },
} as const satisfies Record<string, { release: string; minimum: readonly [number, number, number] }>;

export type FabricProgram = keyof typeof REQUIRED;

const NAMES = Object.keys(REQUIRED) as FabricProgram[];

/** Programs that say their version in a way of their own. osnadmin has no version command; it comes with the others. */
const VERSION_ARGUMENTS: Partial<Record<FabricProgram, readonly string[]>> = {
  peer: ['version'],
  orderer: ['version'],
  configtxgen: ['-version'],
  configtxlator: ['version'],
  'fabric-ca-server': ['version'],
};

/** Where a user gets them from. */
export const INSTALL_HINT =
  'install the official releases of Hyperledger Fabric 3.1 and Hyperledger Fabric CA 1.5 (https://github.com/hyperledger) and put their bin folder on PATH, or set NETWORK=embedded';

/** What is wrong with one of Fabric's programs. */
export interface ProgramProblem {
  readonly program: FabricProgram;
  readonly kind: 'missing' | 'version';
  readonly detail: string;
}

/** Absolute paths of Fabric's programs. */
export type FabricPrograms = Readonly<Record<FabricProgram, string>>;

function findOnPath(program: string, path: string): string | undefined {
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory, program);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not there, or not executable: either way it cannot be run from here.
    }
  }
  return undefined;
}

function isOlder(version: readonly number[], minimum: readonly number[]): boolean {
  const index = minimum.findIndex((part, position) => version[position] !== part);
  return index >= 0 && (version[index] ?? 0) < (minimum[index] ?? 0);
}

async function versionProblem(program: FabricProgram, file: string): Promise<ProgramProblem | undefined> {
  const { release, minimum } = REQUIRED[program];
  const wanted = `${release} ${minimum.join('.')} or a later ${String(minimum[0])}.x is needed`;
  const versionArguments = VERSION_ARGUMENTS[program];
  if (versionArguments === undefined) {
    return undefined;
  }
  let output: string;
  try {
    const { stdout, stderr } = await run(file, [...versionArguments], { timeout: 10_000 });
    output = `${stdout}${stderr}`;
  } catch (error) {
    return { program, kind: 'version', detail: `${file} does not tell its version (${String(error)}); ${wanted}` };
  }
  const found = /Version: v?(\d+)\.(\d+)\.(\d+)/.exec(output);
  const version = found?.slice(1, 4).map(Number);
  if (version === undefined || version[0] !== minimum[0] || isOlder(version, minimum)) {
    return { program, kind: 'version', detail: `${file} is version ${version?.join('.') ?? 'unknown'}; ${wanted}` };
  }
  return undefined;
}

/** What is wrong with Fabric's programs on PATH; nothing when a network can be run with them. */
export async function programProblems(path = process.env['PATH'] ?? ''): Promise<ProgramProblem[]> {
  const problems = await Promise.all(
    NAMES.map(async (program): Promise<ProgramProblem | undefined> => {
      const file = findOnPath(program, path);
      return file === undefined
        ? { program, kind: 'missing', detail: `${program} is not on PATH` }
        : versionProblem(program, file);
    }),
  );
  return problems.filter((problem) => problem !== undefined);
}

/** @throws NetworkError FABRIC_MISSING or FABRIC_VERSION saying what is wrong and where the releases are found */
export async function findPrograms(path = process.env['PATH'] ?? ''): Promise<FabricPrograms> {
  const problems = await programProblems(path);
  if (problems.length > 0) {
    const code = problems.some(({ kind }) => kind === 'missing') ? 'FABRIC_MISSING' : 'FABRIC_VERSION';
    throw new NetworkError(code, `${problems.map(({ detail }) => detail).join('; ')}: ${INSTALL_HINT}`);
  }
  return Object.fromEntries(NAMES.map((name) => [name, findOnPath(name, path) ?? name])) as FabricPrograms;
}
