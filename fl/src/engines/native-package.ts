// SPDX-License-Identifier: Apache-2.0
import { createRequire } from 'node:module';

/** A package that may or may not be there. */
export interface OptionalPackage {
  readonly isInstalled: () => boolean;
  readonly load: () => Promise<unknown>;
}

export const NATIVE_PACKAGE = '@tensorflow/tfjs-node';

const { resolve } = createRequire(import.meta.url);

/** Not a dependency: its library is downloaded when it is installed, by `make tfjs-node`. */
export const nativePackage: OptionalPackage = {
  isInstalled: () => {
    try {
      resolve(NATIVE_PACKAGE);
      return true;
    } catch {
      return false;
    }
  },
  load: () => import(NATIVE_PACKAGE) as Promise<unknown>,
};
