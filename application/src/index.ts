// SPDX-License-Identifier: Apache-2.0
export { projectCohort, sumCohort, type CohortWork } from './aggregator/cohort-work.js';
export { HeldReports } from './aggregator/held-reports.js';
export { Inbox } from './aggregator/inbox.js';
export * from './config/index.js';
export * from './identity/index.js';
export * from './ledger/index.js';
export type { Report } from './report/report.js';
export { learningTask, priceTask, type LearningChoice } from './run/learning-task.js';
export { FINE_TUNING, SERVERS } from './run/task-defaults.js';
export { modelSpecOf, trainingOf } from './services/model-spec.js';
export { serverOptimiserOf } from './services/server-step.js';
export type { DemandForm, LearningKind } from './vehicle/data.js';
