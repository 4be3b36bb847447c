// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import { postJson } from './http-client.js';
import { bodyWithin, jsonBody, startHttpServer, type HttpServer } from './http-server.js';
import { silentLog } from './log.js';

describe('A route that bounds how long a body may take', function () {
  this.timeout(5_000);
  let server: HttpServer;

  before(async () => {
    server = await startHttpServer({
      maxRequests: 4,
      statusOf: {},
      readsBodies: false,
      log: silentLog,
      routes: (app) => {
        app.post('/taken', bodyWithin(50), jsonBody(100), (request, response) => {
          response.json(request.body);
        });
      },
    });
  });
  after(() => server.close());

  it('takes one that comes in time', async () => {
    expect(await postJson(`${server.url}/taken`, { a: 1 }, { timeoutMs: 1_000 })).to.deep.equal({
      status: 200,
      body: { a: 1 },
    });
  });

  it('drops the connection of one that does not come', async () => {
    const { port } = new URL(server.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST /taken HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{');
    await once(socket, 'close');
    expect(socket.destroyed).to.equal(true);
  });
});
