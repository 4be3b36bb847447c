// SPDX-License-Identifier: Apache-2.0
import { readFile, stat, writeFile } from 'node:fs/promises';
import { sha256Hex, type IncidentFindings } from '@sev/chaincode/api';
import { expect } from 'chai';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { findingsHash } from './findings.js';
import { readFindings, writeFindings } from './findings-file.js';

describe('The file of findings', () => {
  const directory = temporaryDirectory();
  const findings: IncidentFindings = {
    type: 'sev/incident-findings/v1',
    incidentId: 'incident-1',
    updates: [
      { round: 3, attempt: 1, vectorHash: 'a'.repeat(64), cosineMilli: -812, normMilli: 3_998, weight: 21 },
      { round: 4, attempt: 2, cosineMilli: 0, normMilli: 0, weight: 0 },
    ],
  };

  it('has the bytes that their hash is of, and is for its owner only', async () => {
    const path = await writeFindings(directory(), findings);
    expect(sha256Hex(await readFile(path))).to.equal(findingsHash(findings));
    expect((await stat(path)).mode & 0o777).to.equal(0o600);
    expect(await readFindings(directory(), 'incident-1')).to.deep.equal(findings);
  });

  it('is missing where nothing was opened, and refused where it was changed to something else', async () => {
    expect(await readFindings(directory(), 'incident-2')).to.equal(undefined);
    const path = await writeFindings(directory(), { ...findings, incidentId: 'incident-3' });
    await writeFile(path, '{"type":"other"}');
    expect(await codeOf(readFindings(directory(), 'incident-3'))).to.equal('FILE_MALFORMED');
  });
});
