// SPDX-License-Identifier: Apache-2.0
import { TIME_MARGIN_MS, type BaseRecord } from './learning';

/**
 * Whether a task that begins with a model keeps it from another that has just made it. What a round comes to follows from
 * what was recorded before it closed, so who begins with it only afterwards may have waited for it, and gives way: else any
 * organisation could stop a running task. Who began before may have been aimed at, and keeps it. The margin is that of two
 * clocks: what is dated by less than that is taken for later.
 *
 * @param base - the model's record.
 * @param closedAtMs - when the round closed that made it.
 * @param hasShown - whether sums on it may have been shown: then they keep it from further sums, whoever was first.
 */
export function keepsBase(
  { begunAtMs }: Pick<BaseRecord, 'begunAtMs'>,
  closedAtMs: number | undefined,
  hasShown: boolean,
): boolean {
  return hasShown || begunAtMs === undefined || begunAtMs + 2 * TIME_MARGIN_MS < (closedAtMs ?? 0);
}
