// SPDX-License-Identifier: Apache-2.0
import type { IncidentState } from './incidents';

/** One event a transaction: type, ids, hash; at most 1 kB and nothing personal. The event's name is its `type`. */
export type LedgerEvent =
  | { readonly type: 'ConsortiumChanged'; readonly hash: string }
  | { readonly type: 'VehiclesEnrolled'; readonly txId: string; readonly accepted: number; readonly refused: number }
  | { readonly type: 'VehicleStatusChanged'; readonly vehicleId: string; readonly status: string }
  | { readonly type: 'VehicleKeyChanged'; readonly vehicleId: string; readonly rotation: number }
  | { readonly type: 'TaskCreated'; readonly taskId: string; readonly hash: string }
  | {
      readonly type: 'RoundOpened' | 'RoundClosed' | 'RoundFinalised' | 'RoundAborted';
      readonly taskId: string;
      readonly round: number;
      readonly attempt: number;
      /** Base model while open, new model once finalised. */
      readonly modelHash: string;
    }
  | {
      /** In the secure modes, between `RoundClosed` and `RoundFinalised`. */
      readonly type: 'CohortFixed' | 'RoundScored' | 'SumsCommitted' | 'DisputeOpened' | 'DisputeSettled';
      readonly taskId: string;
      readonly round: number;
      readonly attempt: number;
      /** Hash of the cohort, the scores or the opening. */
      readonly hash: string;
    }
  | {
      readonly type: 'IncidentOpened' | 'ModelCorrected';
      readonly taskId: string;
      readonly incidentId: string;
      /** Its state, or which model was kept. */
      readonly state: string;
    }
  | {
      readonly type: 'IncidentStep';
      readonly taskId: string;
      readonly incidentId: string;
      /** Whom the incident is about: `confirmed` revokes it in the same transaction. */
      readonly vehicleId: string;
      readonly state: IncidentState;
    }
  | { readonly type: 'RoundPaid'; readonly taskId: string; readonly round: number; readonly hash: string }
  | {
      readonly type: 'ReceiptsShown';
      readonly taskId: string;
      readonly round: number;
      readonly attempt: number;
      /** New on the ledger. */
      readonly receipts: number;
    }
  | {
      readonly type: 'UpdatesRecorded';
      readonly taskId: string;
      readonly round: number;
      readonly attempt: number;
      readonly accepted: number;
      readonly refused: number;
    };
