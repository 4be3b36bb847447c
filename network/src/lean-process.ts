// SPDX-License-Identifier: Apache-2.0

/**
 * How programs that share one machine are started. A consortium on one machine is more than a dozen Node processes; with
 * the defaults, which suit one large program, each keeps tens of MB of garbage that it will not need again.
 */

/**
 * Flags of Node. Half-spaces of 2 MB instead of 16 MB: what a thread allocates for a short time is collected before it has
 * touched up to three times 16 MB. And the older generation is collected when it has grown by half; by default, on a machine
 * with much memory, it may first become several times what is needed.
 */
export const LEAN_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--heap-growing-percent=50'];

/**
 * Settings of glibc's allocator, which holds all buffers. By default every thread may open an arena of its own, whose
 * free memory no other thread uses; and the size from which on a buffer is given back to the system grows with use.
 */
const LEAN_ALLOCATOR = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072' } as const;

/** @returns the environment, with the allocator's settings where it does not say otherwise. */
export function leanEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...LEAN_ALLOCATOR, ...environment };
}
