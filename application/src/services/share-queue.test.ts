// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import type { SignedBy } from '@sev/chaincode/api';
import { MAX_SHARES_TOGETHER, type ShareSubmission } from '../aggregator/share-submission.js';
import { SevError } from '../errors.js';
import { codeOf, rejection } from '../testing/temporary.js';
import { ShareQueue } from './share-queue.js';

interface Request {
  readonly names: readonly string[];
  readonly signal: AbortSignal;
  readonly answer: (results: PromiseSettledResult<SignedBy>[]) => void;
  readonly fail: (error: unknown) => void;
}

describe('A queue of shares', () => {
  const never = (): AbortSignal => new AbortController().signal;
  const share = (name: string): ShareSubmission => ({ sealed: name }) as unknown as ShareSubmission;
  const receipt = (name: string): SignedBy => ({ mspId: 'CityMSP', signature: name });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  function queue(): { requests: Request[]; post: (name: string, signal: AbortSignal) => Promise<SignedBy> } {
    const requests: Request[] = [];
    const shares = new ShareQueue(
      (submissions, aborted) =>
        new Promise((answer, fail) => {
          requests.push({ names: submissions.map(({ sealed }) => sealed), signal: aborted, answer, fail });
        }),
    );
    return { requests, post: (name, until) => shares.post(share(name), until) };
  }
  const answer = ({ names, answer: give }: Request): void => {
    give(names.map((name) => ({ status: 'fulfilled', value: receipt(name) })));
  };

  it('sends what is ready together, and gathers what comes while two requests are under way', async () => {
    const { requests, post } = queue();
    const posts = ['a', 'b'].map((name) => post(name, never()));
    await turn();
    posts.push(post('c', never()));
    await turn();
    posts.push(post('d', never()));
    await turn();
    posts.push(post('e', never()));
    await turn();
    expect(requests.map(({ names }) => names)).to.deep.equal([['a', 'b'], ['c']]);
    answer(requests[0]!);
    await turn();
    expect(requests[2]?.names).to.deep.equal(['d', 'e']);
    answer(requests[1]!);
    answer(requests[2]!);
    expect((await Promise.all(posts)).map(({ signature }) => signature)).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
  });

  it('sends no more at once than an aggregator takes', async () => {
    const { requests, post } = queue();
    const posts = Array.from({ length: MAX_SHARES_TOGETHER + 3 }, (_, index) => post(String(index), never()));
    await turn();
    expect(requests.map(({ names }) => names.length)).to.deep.equal([MAX_SHARES_TOGETHER, 3]);
    requests.forEach(answer);
    await Promise.all(posts);
  });

  it('tells each of its own refusal, and all where the request came to nothing', async () => {
    const { requests, post } = queue();
    const first = [post('a', never()), post('b', never())];
    await turn();
    const refusal = new SevError('SHARE_UNREADABLE', 'b');
    requests[0]!.answer([
      { status: 'fulfilled', value: receipt('a') },
      { status: 'rejected', reason: refusal },
    ]);
    expect(await first[0]).to.deep.equal(receipt('a'));
    expect(await rejection(first[1]!)).to.equal(refusal);
    const second = ['c', 'd'].map((name) => codeOf(post(name, never())));
    await turn();
    requests[1]!.fail(new SevError('SERVICE_UNREACHABLE', 'gone'));
    expect(await Promise.all(second)).to.deep.equal(['SERVICE_UNREACHABLE', 'SERVICE_UNREACHABLE']);
  });

  it('ends a request that nobody waits for any more, and sends nothing for who has gone', async () => {
    const { requests, post } = queue();
    const [one, other, late] = [new AbortController(), new AbortController(), new AbortController()];
    const posts = [post('a', one.signal), post('b', other.signal)];
    await turn();
    const full = post('c', never());
    await turn();
    const gone = post('d', late.signal);
    late.abort();
    expect(((await rejection(gone)) as Error).name).to.equal('AbortError');
    one.abort();
    await rejection(posts[0]!);
    expect(requests[0]!.signal.aborted).to.equal(false);
    other.abort();
    await rejection(posts[1]!);
    expect(requests[0]!.signal.aborted).to.equal(true);
    requests[0]!.fail(new Error('aborted'));
    answer(requests[1]!);
    await full;
    await turn();
    expect(requests.length).to.equal(2);
    expect(((await rejection(post('e', one.signal))) as Error).name).to.equal('AbortError');
  });
});
