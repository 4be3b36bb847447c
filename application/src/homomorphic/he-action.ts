// SPDX-License-Identifier: Apache-2.0
import { aloneAfterMs, TIME_MARGIN_MS, type RoundRecord } from '@sev/chaincode/api';
import { ASK_LATER_MS, type CoordinatorAction, type RoundView } from '../coordinator/step.js';

const STEP_OF = { closed: 'fix-cohort', cohort: 'commit-sums', aggregated: 'finalise' } as const;

/**
 * What to do next after a round in mode `he` was closed. Every step needs its organisations: one that does not give its part in
 * the time of a round ends the attempt, on a majority's word, and later alone.
 */
export function heAction(view: RoundView, round: RoundRecord, state: keyof typeof STEP_OF): CoordinatorAction {
  const kind = STEP_OF[state];
  const aloneAfter = aloneAfterMs(round, view.task);
  const alone = view.nowMs >= aloneAfter;
  const reason = view.hopeless ?? view.stepFailed;
  const step: CoordinatorAction = kind === 'fix-cohort' ? { kind, alone } : { kind };
  if (reason === undefined) {
    return step;
  }
  const { tooEarly } = view;
  const asked = tooEarly?.action === 'abort' ? Math.min(tooEarly.untilMs, aloneAfter) : 0;
  const overAtMs = Math.max(asked, aloneAfter - TIME_MARGIN_MS + ASK_LATER_MS);
  if (alone || view.nowMs >= overAtMs) {
    return { kind: 'abort', reason, alone };
  }
  return view.hopeless === undefined ? step : { kind: 'wait', untilMs: overAtMs };
}
