// SPDX-License-Identifier: Apache-2.0
import type { CoordinatorSetup } from '../../testing/secure-bed-coordinator.js';
import type { SecureBed } from '../../testing/secure-bed.js';
import { runToEnd } from './outcome.js';

/** What a coordinator's process ends with when it is killed. */
export class Killed extends Error {}

/** Lets a coordinator live for so many of its steps; from then on it can do nothing more. */
export function livesFor(
  steps: number,
): Pick<CoordinatorSetup, 'interrupt' | 'read'> & { readonly died: () => string } {
  let left = steps;
  let died = '';
  return {
    interrupt: (what) => {
      left -= 1;
      if (left < 0) {
        died ||= what;
        throw new Killed(what);
      }
    },
    read: () => {
      if (died !== '') {
        throw new Killed(died);
      }
    },
    died: () => died,
  };
}

/** Runs a coordinator that is killed after so many steps. @returns before or after what; '' where it came to its end. */
export async function runKilled(bed: SecureBed, steps: number, setup: CoordinatorSetup = {}): Promise<string> {
  const { died, ...life } = livesFor(steps);
  await runToEnd(bed, { ...setup, ...life }).catch((error: unknown) => {
    if (died() === '') {
      throw error;
    }
  });
  return died();
}

/** How many steps an undisturbed coordinator takes for its round. */
export async function stepsOf(bed: SecureBed, setup: CoordinatorSetup = {}): Promise<string[]> {
  const steps: string[] = [];
  await bed.run({ ...setup, interrupt: (what) => steps.push(what) });
  return steps;
}
