// SPDX-License-Identifier: Apache-2.0
export * from './config/index.js';
export * from './identity/index.js';
export * from './ledger/index.js';
export type { Report } from './report/report.js';
export { priceTask } from './run/price-task.js';
