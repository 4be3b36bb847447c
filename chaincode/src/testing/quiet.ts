// SPDX-License-Identifier: Apache-2.0

/** The shim reads its log level when it is loaded; import this file before it. */
process.env['CORE_CHAINCODE_LOGGING_LEVEL'] = 'CRITICAL';
