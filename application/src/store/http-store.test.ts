// SPDX-License-Identifier: Apache-2.0
import { createServer, type Server } from 'node:http';
import { mkdtemp, truncate } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sha256Hex } from '@sev/chaincode/api';
import { expect } from 'chai';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { HttpStore } from './http-store.js';
import { startStoreServer, type StoreServer } from './server.js';

describe('store over HTTP', () => {
  const temporary = temporaryDirectory();
  let directory: string;
  let server: StoreServer;
  let store: HttpStore;

  before(async () => {
    directory = await mkdtemp(join(temporary(), 'store-'));
    server = await startStoreServer({ dir: directory, maxObjectBytes: 100_000 });
    store = new HttpStore(server.url);
  });
  after(() => server.close());

  it('keeps and returns objects, also put twice and at once', async () => {
    const bytes = new Uint8Array(46_340).fill(7);
    const hashes = await Promise.all(Array.from({ length: 20 }, () => store.put(bytes)));
    expect(new Set(hashes)).to.deep.equal(new Set([sha256Hex(bytes)]));
    expect(await store.get(hashes[0]!)).to.deep.equal(bytes);
    expect(await store.has(hashes[0]!)).to.equal(true);
  });

  it('keeps the empty object', async () => {
    const hash = await store.put(new Uint8Array());
    expect(await store.get(hash)).to.have.length(0);
  });

  it('answers 422 to bytes that do not hash to their name', async () => {
    const hash = '1'.repeat(64);
    const response = await fetch(`${server.url}/objects/${hash}`, { method: 'PUT', body: 'other' });
    expect(response.status).to.equal(422);
    expect(await response.json()).to.include({ code: 'CONTENT_HASH_MISMATCH' });
    expect(await store.has(hash)).to.equal(false);
  });

  it('answers 413 to what is too large, with and without a declared length', async () => {
    const bytes = new Uint8Array(100_001);
    expect(await codeOf(store.put(bytes))).to.equal('OBJECT_TOO_LARGE');
    const stream = new Blob([bytes]).stream();
    const request = { method: 'PUT', body: stream, duplex: 'half' } as const;
    const response = await fetch(`${server.url}/objects/${sha256Hex(bytes)}`, request);
    expect(response.status).to.equal(413);
    expect(await response.json()).to.include({ code: 'OBJECT_TOO_LARGE' });
  });

  it('answers 400 and 404 to bad and unknown names', async () => {
    expect((await fetch(`${server.url}/objects/..%2F..%2Fetc%2Fpasswd`)).status).to.equal(400);
    expect((await fetch(`${server.url}/objects/${'2'.repeat(64)}`)).status).to.equal(404);
    expect((await fetch(`${server.url}/elsewhere`)).status).to.equal(404);
    expect(await codeOf(store.get('2'.repeat(64)))).to.equal('OBJECT_MISSING');
    expect(await store.has('2'.repeat(64))).to.equal(false);
  });

  it('reports an object damaged on disk', async () => {
    const hash = await store.put(Buffer.from('to be damaged'));
    await truncate(join(directory, hash.slice(0, 2), hash), 3);
    expect(await codeOf(store.get(hash))).to.equal('CONTENT_HASH_MISMATCH');
  });

  it('gives objects asked for at once, each with its own fate', async () => {
    const contents = Array.from({ length: 70 }, (_, index) => Buffer.alloc(index * 700, index));
    const hashes = await Promise.all(contents.map((bytes) => store.put(bytes)));
    const damaged = hashes[40]!;
    await truncate(join(directory, damaged.slice(0, 2), damaged), 3);
    const missing = '3'.repeat(64);
    const results = await Promise.allSettled([...hashes, missing].map((hash) => store.get(hash)));
    const fates = results.map((result) =>
      result.status === 'rejected' ? (result.reason as { code: string }).code : '',
    );
    expect(fates[40]).to.equal('CONTENT_HASH_MISMATCH');
    expect(fates[70]).to.equal('OBJECT_MISSING');
    results.forEach((result, index) => {
      if (result.status === 'fulfilled') {
        expect(Buffer.from(result.value).equals(contents[index]!), `object ${String(index)}`).to.equal(true);
      }
    });
    expect(fates.filter((fate) => fate === '')).to.have.length(69);
  });

  it('refuses a request for several that is not one', async () => {
    const headers = { 'content-type': 'application/json' };
    const request = { method: 'POST', headers, body: JSON.stringify({ hashes: ['../secret'] }) };
    const response = await fetch(`${server.url}/objects/read`, request);
    expect(response.status).to.equal(400);
    expect(await response.json()).to.include({ code: 'REQUEST_INVALID' });
  });

  it('says that it is well', async () => {
    const response = await fetch(`${server.url}/healthz`);
    expect(await response.json()).to.include({ ok: true });
  });

  it('names a port that is in use', async () => {
    const port = Number(new URL(server.url).port);
    expect(await codeOf(startStoreServer({ dir: directory, port }))).to.equal('PORT_IN_USE');
  });

  it('does not believe a store that lies, and gives up on one that is away', async () => {
    const liar = createServer((_request, response) => response.end('not it'));
    const url = await listen(liar);
    expect(await codeOf(new HttpStore(url).get('3'.repeat(64)))).to.equal('CONTENT_HASH_MISMATCH');
    const sender = new HttpStore(url, { maxObjectBytes: 5 });
    expect(await codeOf(sender.get('3'.repeat(64)))).to.equal('OBJECT_TOO_LARGE');
    await new Promise((resolve) => {
      liar.close(resolve);
      liar.closeAllConnections();
    });
    expect(await codeOf(new HttpStore(url, { retryMs: 200 }).get('3'.repeat(64)))).to.equal('STORE_UNREACHABLE');
  });
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
