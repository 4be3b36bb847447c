// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { ConcurrencyLimiter } from './limiter.js';

describe('The limit on concurrent calls', () => {
  it('refuses what is over it in the words of a peer, and takes more when a call has ended', () => {
    const limiter = new ConcurrencyLimiter('/gateway.Gateway', 2);
    const release = limiter.acquire();
    limiter.acquire();
    expect(() => limiter.acquire()).to.throw('too many requests for /gateway.Gateway, exceeding concurrency limit (2)');
    release();
    limiter.acquire();
  });
});
