// SPDX-License-Identifier: Apache-2.0
declare module 'fabric-shim/lib/contract-spi/chaincodefromcontract' {
  import type { ChaincodeResponse, ChaincodeStub } from 'fabric-shim-api';

  class ChaincodeFromContract {
    readonly metadata: {
      readonly contracts: Readonly<Record<string, { readonly transactions: readonly { readonly name: string }[] }>>;
    };
    constructor(contracts: unknown[], serializers: unknown);
    Invoke(stub: ChaincodeStub): Promise<ChaincodeResponse>;
  }
  export = ChaincodeFromContract;
}
