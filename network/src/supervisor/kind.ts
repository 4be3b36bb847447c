// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { NetworkError } from '../errors.js';

const FABRIC_PROGRAMS = ['peer', 'orderer', 'fabric-ca-server'];

/** Which network is brought up, and why that one. */
export interface NetworkChoice {
  readonly kind: 'embedded';
  readonly reason: string;
}

function isOnPath(program: string, path: string): boolean {
  return path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      // Not there, or not executable: either way it cannot be run from here.
      return false;
    }
  });
}

/**
 * Chooses by NETWORK=auto|fabric|embedded.
 * @throws NetworkError FABRIC_NOT_SUPPORTED, NETWORK_KIND_INVALID
 */
export function chooseNetwork(
  asked = process.env['NETWORK'] || 'auto',
  path = process.env['PATH'] ?? '',
): NetworkChoice {
  switch (asked) {
    case 'embedded':
      return { kind: 'embedded', reason: 'NETWORK=embedded' };
    case 'auto': {
      const absent = FABRIC_PROGRAMS.filter((program) => !isOnPath(program, path));
      const reason =
        absent.length > 0
          ? `Fabric's programs are not on PATH (${absent.join(', ')})`
          : "Fabric's programs are on PATH, but this version does not run them yet";
      return { kind: 'embedded', reason };
    }
    case 'fabric':
      throw new NetworkError(
        'FABRIC_NOT_SUPPORTED',
        'native Fabric networks are not part of this version; leave NETWORK out, or set NETWORK=embedded',
      );
    default:
      throw new NetworkError('NETWORK_KIND_INVALID', `NETWORK=${asked} is none of auto, fabric, embedded`);
  }
}
