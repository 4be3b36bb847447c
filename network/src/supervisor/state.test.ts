// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NetworkError } from '../errors.js';
import type { Topology } from '../topology/schema.js';
import { networkPaths, type NetworkPaths } from './paths.js';
import { deleteState, prepareState, readState, sweepDeleted } from './state.js';

const topology = {
  file: '/topology.yaml',
  name: 'sev',
  channel: 'sevchannel',
  organisations: [{ name: 'grid', mspId: 'GridOperatorMSP', ports: { gateway: 7051, ca: 7054, chaincode: 7052 } }],
} as unknown as Topology;

describe('The state directory of a network', () => {
  let home: string;
  let paths: NetworkPaths;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'sev-state-'));
    paths = networkPaths(home);
  });
  afterEach(() => {
    rmSync(home, { recursive: true, force: true });
  });

  const codeOf = async (action: Promise<unknown>): Promise<unknown> =>
    action.then(
      () => 'accepted',
      (error: unknown) => (error instanceof NetworkError ? error.code : error),
    );

  it('is made once and then stays what it is', async () => {
    const first = await prepareState(paths, topology, 'ephemeral');
    expect(await prepareState(paths, topology, undefined)).to.deep.equal(first);
    expect(await readState(paths)).to.deep.equal(first);
  });

  it('is refused when it holds something else, and is not deleted then', async () => {
    mkdirSync(paths.state);
    writeFileSync(join(paths.state, 'letter.txt'), 'mine');
    expect(await codeOf(prepareState(paths, topology, 0))).to.equal('STATE_FOREIGN');
    expect(await codeOf(deleteState(paths))).to.equal('STATE_FOREIGN');
    expect(existsSync(join(paths.state, 'letter.txt'))).to.equal(true);
  });

  it('is refused when a newer version wrote it, and when its description is damaged', async () => {
    const state = await prepareState(paths, topology, 0);
    writeFileSync(paths.stateFile, JSON.stringify({ ...state, schemaVersion: 2, new: true }));
    expect(await codeOf(readState(paths))).to.equal('STATE_FOREIGN');
    writeFileSync(paths.stateFile, '{');
    expect(await codeOf(readState(paths))).to.equal('STATE_FOREIGN');
  });

  it('is refused for other organisations or another channel', async () => {
    await prepareState(paths, topology, 0);
    expect(await codeOf(prepareState(paths, { ...topology, channel: 'other' }, 0))).to.equal('STATE_FOREIGN');
    expect(await codeOf(prepareState(paths, { ...topology, organisations: [] }, 0))).to.equal('STATE_FOREIGN');
  });

  it('of an organisation by itself keeps its ports, and lets the others come and go', async () => {
    const ports = { gateway: 8051, ca: 8054, chaincode: 8052 };
    const other = { name: 'maker', mspId: 'ManufacturerMSP', ports };
    const grown = { ...topology, organisations: [...topology.organisations, other] } as Topology;
    const first = await prepareState(paths, topology, 0, ['grid']);
    const later = await prepareState(paths, grown, 100);
    expect(later.members).to.deep.equal(['grid']);
    expect(later.portPlan).to.deep.equal(first.portPlan);
    const renamed = { ...topology, organisations: [{ ...topology.organisations[0]!, mspId: 'OtherMSP' }] };
    expect(await codeOf(prepareState(paths, renamed, 0))).to.equal('STATE_FOREIGN');
    expect(await codeOf(prepareState(paths, { ...grown, organisations: [other] } as Topology, 0))).to.equal(
      'STATE_FOREIGN',
    );
  });

  it('is refused with a ledger whose keys are gone, and where a native network lies', async () => {
    await prepareState(paths, topology, 0);
    mkdirSync(paths.ledger);
    expect(await codeOf(prepareState(paths, topology, 0))).to.equal('STATE_FOREIGN');
    mkdirSync(paths.crypto);
    expect(await codeOf(prepareState(paths, topology, 0))).to.equal('accepted');
    mkdirSync(paths.otherState);
    expect(await codeOf(readState(paths))).to.equal('STATE_FOREIGN');
  });

  it('survives a first write that was cut short', async () => {
    mkdirSync(paths.state);
    writeFileSync(join(paths.state, '.state.json.abc'), '{');
    expect(await codeOf(prepareState(paths, topology, 0))).to.equal('accepted');
  });

  it('is deleted whole, also when an earlier deletion was cut short', async () => {
    await prepareState(paths, topology, 0);
    mkdirSync(paths.crypto);
    mkdirSync(paths.ledger);
    mkdirSync(join(home, 'deleted.123', 'crypto'), { recursive: true });
    await deleteState(paths);
    expect(
      [paths.state, paths.organisations, paths.profile, join(home, 'deleted.123')].filter(existsSync),
    ).to.deep.equal([]);
    await sweepDeleted(networkPaths(join(home, 'nowhere')));
  });
});
