// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { validityProblem } from './certificates.js';

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 5, 1);
/** A certificate that began and ends so many days from now. */
const codeOf = (fromDays: number, toDays: number): string | undefined => {
  const day = (days: number): string => new Date(NOW_MS + days * DAY_MS).toUTCString();
  return validityProblem('peer of grid', { validFrom: day(fromDays), validTo: day(toDays) }, NOW_MS)?.code;
};

describe("What doctor says of certificates' dates", () => {
  it('is content with one that holds for months', () => {
    expect(codeOf(-10, 355)).to.equal(undefined);
  });

  it('warns a month before the end, and not of one that never held for long', () => {
    expect(codeOf(-340, 25)).to.equal('CERTIFICATE_EXPIRES');
    expect(codeOf(-1, 6)).to.equal(undefined);
    expect(codeOf(-6, 1)).to.equal('CERTIFICATE_EXPIRES');
  });

  it('names one that has ended, and one that does not hold yet', () => {
    expect(codeOf(-365, -1)).to.equal('CERTIFICATE_EXPIRED');
    expect(codeOf(1, 365)).to.equal('CERTIFICATE_EARLY');
  });
});
