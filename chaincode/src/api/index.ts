// SPDX-License-Identifier: Apache-2.0
export * from './canonical';
export * from './cohort';
export * from './differencing';
export * from './errors';
export * from './events';
export * from './governance';
export * from './learning';
export * from './primitives';
export * from './privacy';
export * from './registry';
export * from './rounds';
export * from './secure';
export * from './secure-terms';
export * from './signed';
export * from './signing';
