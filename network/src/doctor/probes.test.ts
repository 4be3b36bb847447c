// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { expect } from 'chai';
import { healthProblem, parseMetrics, readMetrics, takesConnections } from './probes.js';

describe('Probes', () => {
  it('read figures with their labels', () => {
    const text = [
      '# HELP ledger_blockchain_height Height of the chain in blocks.',
      '# TYPE ledger_blockchain_height gauge',
      'ledger_blockchain_height{channel="a b"} 6',
      'process_start_time_seconds 1.79539030854e+09',
      'odd{le="+Inf"} NaN',
      '',
    ].join('\n');
    const metrics = parseMetrics(text);
    expect(metrics.get('ledger_blockchain_height{channel="a b"}')).to.equal(6);
    expect(metrics.get('process_start_time_seconds')).to.equal(1_795_390_308.54);
    expect(metrics.size).to.equal(3);
  });

  it('tell a process that is not well from one that gives no answer', async () => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === '/healthz' ? 503 : 200, { connection: 'close' }).end('{"status":"docker"}');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await healthProblem(port)).to.equal('says 503: {"status":"docker"}');
    expect(await takesConnections('127.0.0.1', port)).to.equal(true);
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    expect(await healthProblem(port)).to.match(/no answer.*ECONNREFUSED/);
    expect(await readMetrics(port)).to.equal(undefined);
    expect(await takesConnections('127.0.0.1', port)).to.equal(false);
  });
});
