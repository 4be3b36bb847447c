// SPDX-License-Identifier: Apache-2.0
import type { KnownDifference } from './compare.js';

/** Where the embedded network does not answer as real Fabric does. docs/parity.md shows the same list. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    scenario: '*',
    field: '*.results._lifecycle.reads',
    reason:
      'Chaincode definitions of the embedded network are configuration, not state: transactions read nothing of them',
  },
  {
    scenario: 'ledger/a transaction leaves its read/write set in the block',
    field: 'nothing.result.results',
    reason: 'A transaction that does nothing has no namespace in its results, since it does not read its definition',
  },
  {
    scenario: 'contract/throws without a message',
    field: 'evaluate.message',
    reason:
      'Fabric sends a message that ends with a blank unencoded, which the HTTP/2 library of Node drops; the details have it',
  },
  {
    scenario: 'contract/calls a chaincode that is not there',
    field: '*',
    reason: 'Calling another chaincode is not supported by the embedded network, and the answer says so',
  },
  {
    scenario: "addressing/the chaincode is one of the peer's own",
    field: '*',
    reason: 'System chaincodes are not supported by the embedded network, and the answer says so',
  },
  {
    scenario: 'commit/a transaction is sent again',
    field: '*',
    reason:
      'Orderers of SmartBFT refuse a request that they have just ordered; the embedded network orders it and finds it a duplicate',
  },
  {
    scenario: 'limits/a message is larger than the gateway takes',
    field: 'evaluate.message',
    reason: 'The text is that of the gRPC library: grpc-go on Fabric, grpc-js on the embedded network',
  },
];
