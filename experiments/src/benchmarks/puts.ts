// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Contract } from '@hyperledger/fabric-gateway';
import { inHome, openWallet, readConnectionProfile } from '@sev/application';
import type { Benchmark, BenchmarkContext } from '../figure.js';
import { openGateway } from '../gateway.js';
import { quantile, runLoad } from '../load.js';
import { higher, lower } from './native.js';

const CHAINCODE = fileURLToPath(new URL('../../../network/fixtures/testcc', import.meta.url));
const VALUE = 'x'.repeat(100);
const LONE = 30;
const CALLS = { 10: 400, 50: 1_500 } as const;

/** What one small transaction costs the network, whatever our contracts do: 100-byte puts of the test chaincode. */
export const puts: Benchmark = {
  name: 'puts',
  run: async (context) => {
    await context.sev(['network', 'deploy', CHAINCODE]);
    const { contract, close } = await newContract(context);
    const prefix = randomBytes(4).toString('hex');
    const put = async (kind: string, index: number): Promise<void> => {
      await contract.submitTransaction('put', `${prefix}-${kind}-${index.toString()}`, VALUE);
    };
    try {
      await runLoad({ inFlight: 1, calls: 5, call: (index) => put('warm', index) });
      const lone = await runLoad({ inFlight: 1, calls: LONE, call: (index) => put('lone', index) });
      const rates = [];
      for (const [inFlight, calls] of Object.entries(CALLS)) {
        const load = await runLoad({ inFlight: Number(inFlight), calls, call: (index) => put(inFlight, index) });
        const first = load.failures[0];
        if (first !== undefined) {
          throw new Error(`${load.failures.length.toString()} of ${calls.toString()} puts failed`, {
            cause: first.error,
          });
        }
        rates.push({ inFlight, perSecond: load.succeeded.length / (load.wallMs / 1000) });
      }
      return [
        lower(
          'put-lone-p50',
          quantile(lone.latenciesMs, 0.5),
          'ms',
          200,
          'submit to commit status, default block interval',
        ),
        lower('put-lone-p95', quantile(lone.latenciesMs, 0.95), 'ms', null, 'the same'),
        ...rates.map(({ inFlight, perSecond }) =>
          higher(
            `puts-per-second-${inFlight}`,
            perSecond,
            'tx/s',
            inFlight === '50' ? 80 : null,
            `${inFlight} in flight, client included`,
          ),
        ),
      ];
    } finally {
      close();
    }
  },
};

/** The test chaincode as the coordinator of the first organisation calls it. */
async function newContract(context: BenchmarkContext): Promise<{ contract: Contract; close: () => void }> {
  const profile = await readConnectionProfile(context.networkHome);
  const [first] = profile.organisations;
  if (first === undefined) {
    throw new Error('the network has no organisation');
  }
  const wallet = await openWallet(inHome.wallet(join(context.homes, first.name)));
  const { channel, close } = openGateway(profile, await wallet.get('coordinator'));
  return { contract: channel.getContract('testcc'), close };
}
