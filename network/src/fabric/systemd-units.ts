// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from 'node:url';
import { NetworkError } from '../errors.js';
import type { NetworkOptions } from '../supervisor/options.js';
import { openFabricHome } from './home.js';
import { renderUnits, unitPath, type UnitOptions } from './systemd.js';

const SUPERVISOR = fileURLToPath(new URL('../supervisor/main.js', import.meta.url));

/** What is not known from the network's home. */
export type UnitChoice = Pick<
  UnitOptions,
  'organisation' | 'user' | 'homes' | 'sev' | 'ports' | 'storeUrl' | 'attesters' | 'textfiles'
>;

/**
 * The systemd units of an organisation whose nodes run from a home.
 * @returns contents by file name
 * @throws NetworkError NOT_SUPPORTED where the home holds no native network, or not this organisation
 */
export async function networkUnits(
  choice: UnitChoice,
  options: NetworkOptions = {},
): Promise<Readonly<Record<string, string>>> {
  const { paths, topology, programs, members } = await openFabricHome(options);
  const names = members.map(({ organisation }) => organisation.name);
  if (!names.includes(choice.organisation)) {
    throw new NetworkError(
      'NOT_SUPPORTED',
      `${paths.home} runs no nodes of "${choice.organisation}"; it runs those of ${names.join(', ')}`,
    );
  }
  return renderUnits({
    ...choice,
    network: names.length === 1 ? choice.organisation : topology.name,
    networkHome: paths.home,
    stateFile: paths.stateFile,
    logFile: paths.log,
    topologyFile: topology.file,
    node: process.execPath,
    supervisor: SUPERVISOR,
    path: unitPath(process.execPath, programs),
  });
}
