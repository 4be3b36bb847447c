// SPDX-License-Identifier: Apache-2.0
import { sha256Hex, type SecureRound, type Validation } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { expect } from 'chai';
import { SevError } from '../errors.js';
import { objectMissing } from '../store/object-store.js';
import { codeOf } from '../testing/temporary.js';
import { TooEarlyError } from '../services/too-early.js';
import { directionBytes, insistOnAllShown, REFERENCES_MS } from '../validation/directions.js';

const LENGTH = 3;
const OTHERS = [CITY, GRID, MAKER];

describe('A validator of an opening', () => {
  const objects = new Map<string, Uint8Array>();
  beforeEach(() => {
    objects.clear();
  });
  const fetch = (hash: string): Promise<Uint8Array> => {
    const bytes = objects.get(hash);
    return bytes === undefined ? Promise.reject(objectMissing(hash)) : Promise.resolve(bytes);
  };
  const committed = new Map<string, Uint8Array>(
    [CITY, GRID, MAKER, REGULATOR].map((mspId, index) => [mspId, directionBytes(Int32Array.of(900, index, 7))]),
  );
  /** The regulator commits itself to these bytes, and shows them where they are said to be shown. */
  const leftOut = async (
    options: { bytes?: Uint8Array; isShown?: boolean; inStateMs?: number; departed?: readonly string[] } = {},
  ): Promise<unknown> => {
    const { bytes = committed.get(REGULATOR)!, isShown = false, inStateMs = REFERENCES_MS, departed = [] } = options;
    const validations = [...committed].map(([mspId, own]) => ({
      mspId,
      directionHash: sha256Hex(mspId === REGULATOR ? bytes : own),
    })) as Validation[];
    [...(isShown ? [bytes] : []), ...OTHERS.map((mspId) => committed.get(mspId)!)].forEach((one) =>
      objects.set(sha256Hex(one), one),
    );
    const secure = { opening: { validations }, validated: { medianLossMicro: 1, departed } } as unknown as SecureRound;
    try {
      await insistOnAllShown(secure, OTHERS, { inStateMs, length: LENGTH, fetch });
      return undefined;
    } catch (error) {
      return error;
    }
  };

  it('is left out once it has had its time and has shown nothing', async () => {
    const early = await leftOut({ inStateMs: REFERENCES_MS - 1 });
    expect(early).to.be.instanceOf(TooEarlyError).and.deep.include({ code: 'REFERENCES_INCOMPLETE', leftMs: 1 });
    expect(await leftOut()).to.equal(undefined);
  });

  it('is never left out once it has shown its direction, however late it is', async () => {
    for (const inStateMs of [REFERENCES_MS, 1_000 * REFERENCES_MS]) {
      const late = await leftOut({ isShown: true, inStateMs });
      expect(late).to.be.instanceOf(SevError).and.not.instanceOf(TooEarlyError);
      expect(late).to.deep.include({ code: 'REFERENCES_INCOMPLETE' });
    }
  });

  it('is left out where what it has shown is no direction, or its loss departs', async () => {
    expect(await leftOut({ isShown: true, bytes: new Uint8Array(5) })).to.equal(undefined);
    expect(await leftOut({ isShown: true, bytes: directionBytes(new Int32Array(LENGTH)) })).to.equal(undefined);
    expect(await leftOut({ isShown: true, bytes: directionBytes(Int32Array.of(70_000, 0, 0)) })).to.equal(undefined);
    expect(await leftOut({ isShown: true, departed: [REGULATOR], inStateMs: 0 })).to.equal(undefined);
  });

  it('is not left out on the word of a store that cannot be asked', async () => {
    const validations = [{ mspId: CITY, directionHash: 'a'.repeat(64) }] as Validation[];
    const secure = { opening: { validations } } as unknown as SecureRound;
    const away = (): Promise<Uint8Array> => Promise.reject(new SevError('STORE_UNREACHABLE', 'away'));
    const seen = { inStateMs: REFERENCES_MS, length: LENGTH, fetch: away };
    expect(await codeOf(insistOnAllShown(secure, [], seen))).to.equal('STORE_UNREACHABLE');
  });
});
