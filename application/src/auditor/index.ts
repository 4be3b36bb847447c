// SPDX-License-Identifier: Apache-2.0
export {
  anchorsOf,
  exportLedger,
  manifestOf,
  openExport,
  type ExportManifest,
  type ExportSummary,
  type LedgerExport,
} from './export.js';
export {
  AUDIT_CODES,
  AUDIT_HINTS,
  AuditError,
  newAuditCounts,
  type AuditCode,
  type AuditCounts,
  type AuditFailure,
  type AuditKind,
} from './failure.js';
export { firstOf, folderReader, type ObjectReader } from './objects.js';
export { type TrustAnchors } from './replay.js';
export { auditHistory, type HistoryEvent, type HistoryTarget } from './history.js';
export {
  isDataLoss,
  verifyExport,
  verifyLedger,
  type AuditProgress,
  type AuditResult,
  type AuditedRound,
  type CheckOptions,
  type SkippedPart,
  type VerifyExportOptions,
  type VerifyOptions,
} from './verify.js';
