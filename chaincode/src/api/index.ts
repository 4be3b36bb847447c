// SPDX-License-Identifier: Apache-2.0
export * from './canonical';
export * from './errors';
export * from './events';
export * from './governance';
export * from './learning';
export * from './primitives';
export * from './registry';
export * from './rounds';
export * from './signing';
