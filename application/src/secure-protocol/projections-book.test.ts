// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { expect } from 'chai';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { Inbox, type AttemptFolder } from '../aggregator/inbox.js';
import { signProjections } from '../aggregator/projections-book.js';
import { StatementBook } from '../aggregator/statement-book.js';

const ALL = [CITY, GRID, MAKER, REGULATOR];
const NETWORK = 'c'.repeat(64);

describe('Projections along directions', () => {
  const directory = temporaryDirectory();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const book = new StatementBook(CITY, privateKey, () => Promise.resolve(NETWORK));
  let folder: AttemptFolder;
  beforeEach(async () => {
    folder = (await Inbox.open(directory())).attempt({ taskId: 'price-1', round: 1, attempt: 1 });
  });
  const sign = (references: readonly string[], numbers = references.join()) =>
    signProjections(book, folder, {
      ...{ cohortHash: 'a'.repeat(64), seed: 'b'.repeat(64), references: [...references] },
      components: { 0: numbers },
    });

  it('are signed again for more directions, and the first again when they are asked for again', async () => {
    const first = await sign([CITY, GRID, MAKER]);
    const second = await sign(ALL);
    expect(second.statement.references).to.deep.equal(ALL);
    expect(await sign([CITY, GRID, MAKER])).to.deep.equal(first);
    expect(await sign(ALL)).to.deep.equal(second);
  });

  it('are signed for no choice of as many, or of some and others', async () => {
    await sign([CITY, GRID, MAKER]);
    expect(await codeOf(sign([CITY, GRID, REGULATOR]))).to.equal('STATEMENT_CONFLICT');
    expect(await codeOf(sign([CITY, REGULATOR]))).to.equal('STATEMENT_CONFLICT');
    expect(await codeOf(sign([CITY, GRID, REGULATOR, 'OtherMSP']))).to.equal('STATEMENT_CONFLICT');
  });

  it('have one content for a set of directions', async () => {
    await sign(ALL);
    expect(await codeOf(sign(ALL, 'other'))).to.equal('STATEMENT_CONFLICT');
  });
});
