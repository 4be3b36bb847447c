// SPDX-License-Identifier: Apache-2.0
import { aloneAfterMs, namesHeParty, TIME_MARGIN_MS, type RoundRecord } from '@sev/chaincode/api';
import { ASK_LATER_MS, type CoordinatorAction, type RoundView } from '../coordinator/step.js';

const STEP_OF = { closed: 'fix-cohort', cohort: 'commit-sums', aggregated: 'finalise' } as const;

/**
 * What to do next after a round in mode `he` was closed. Every step needs its organisations: one that does not give its part in
 * the time of a round ends the attempt, on a majority's word that names
 * it, and later alone without a name.
 */
export function heAction(view: RoundView, round: RoundRecord, state: keyof typeof STEP_OF): CoordinatorAction {
  const kind = STEP_OF[state];
  const aloneAfter = aloneAfterMs(round, view.task);
  const alone = view.nowMs >= aloneAfter;
  const found = view.hopeless ?? view.stepFailed;
  // Nobody is named on one organisation's word.
  const reason = alone && found !== undefined && namesHeParty(found) ? 'NO_MAJORITY' : found;
  const { tooEarly } = view;
  // Without a majority's word a cohort that leaves some out can be fixed alone now.
  const canGoOnAlone = alone && kind === 'fix-cohort' && found === 'NO_MAJORITY';
  const step = kind === 'fix-cohort' ? fixingCohort(view, aloneAfter) : { kind };
  if (reason === undefined || canGoOnAlone) {
    return step;
  }
  const asked = tooEarly?.action === 'abort' ? Math.min(tooEarly.untilMs, aloneAfter) : 0;
  const overAtMs = Math.max(asked, aloneAfter - TIME_MARGIN_MS + ASK_LATER_MS);
  if (alone || view.nowMs >= overAtMs) {
    return { kind: 'abort', reason, alone };
  }
  return view.hopeless === undefined ? step : { kind: 'wait', untilMs: overAtMs };
}

/** Attesters that found it too early are asked again when they said, and not at all once nobody has to be asked. */
function fixingCohort({ tooEarly, nowMs }: RoundView, aloneAfter: number): CoordinatorAction {
  const alone = nowMs >= aloneAfter;
  const askAtMs = tooEarly?.action === 'fix-cohort' ? Math.min(tooEarly.untilMs, aloneAfter) : 0;
  return !alone && nowMs < askAtMs ? { kind: 'wait', untilMs: askAtMs } : { kind: 'fix-cohort', alone };
}
