// SPDX-License-Identifier: Apache-2.0
import type {
  CorrectionRecord,
  CorrectModel,
  IncidentRecord,
  IncidentView,
  OpenIncident,
  Page,
  VoteIncident,
} from '@sev/chaincode/api';
import { bind, PAGE_SIZE, pages, type ContractSession } from './contracts.js';

/** The incidents contract: what suspected vehicles have on the ledger, what was decided about them, and what was corrected. */
export function incidents(session: ContractSession) {
  const { evaluate, submit } = bind(session, 'incidents');
  return {
    open: (argument: OpenIncident) => submit<IncidentRecord>('OpenIncident', argument),
    vote: (argument: VoteIncident) => submit<IncidentRecord>('VoteIncident', argument),
    correct: (argument: CorrectModel) => submit<CorrectionRecord>('CorrectModel', argument),
    incident: (incidentId: string) => evaluate<IncidentView>('GetIncident', { incidentId }),
    incidents: () =>
      pages((bookmark) => evaluate<Page<IncidentRecord>>('ListIncidents', { pageSize: PAGE_SIZE, bookmark })),
    /** The correction after this round. @throws LedgerError CORRECTION_UNKNOWN where there was none. */
    correction: (taskId: string, afterRound: number) =>
      evaluate<CorrectionRecord>('GetCorrection', { taskId, afterRound }),
  };
}
