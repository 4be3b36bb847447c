// SPDX-License-Identifier: Apache-2.0
import type { ServiceLog } from '../services/log.js';
import type { ObjectStore } from '../store/object-store.js';
import type { Inbox } from './inbox.js';
import type { LedgerView } from './ledger-view.js';
import type { StatementBook } from './statement-book.js';

/** What the parts of one organisation's aggregator share. */
export interface AggregatorParts {
  readonly mspId: string;
  readonly view: LedgerView;
  readonly inbox: Inbox;
  readonly book: StatementBook;
  readonly store: ObjectStore;
  readonly log: ServiceLog;
}
