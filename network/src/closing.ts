// SPDX-License-Identifier: Apache-2.0

/**
 * Runs every one of these, one after the other, whichever of them fail.
 * @throws the first error, after all were tried
 */
export async function closeAll(closers: Iterable<() => Promise<void>>): Promise<void> {
  const errors: unknown[] = [];
  for (const close of closers) {
    try {
      await close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) {
    throw errors[0];
  }
}
