// SPDX-License-Identifier: Apache-2.0

/**
 * Fabric's older client packages log to the console, also when they fail and throw, and read this setting when they
 * are loaded. They tell nothing that their errors do not, so nothing is logged unless whoever runs the program says so.
 */
process.env['HFC_LOGGING'] ??= '{}';
