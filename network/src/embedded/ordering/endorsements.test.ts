// SPDX-License-Identifier: Apache-2.0
import { peer } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import { actionsOn } from '../testing/actions.js';
import { endorsersOf, lastResults } from '../testing/blocks.js';
import { useNetwork } from '../testing/harness.js';

const CODE = peer.TxValidationCode;

describe('Key-level endorsement policies', function () {
  this.timeout(60_000);
  // Two transactions that are submitted together come into one block.
  const harness = useNetwork({
    ordering: { batchTimeoutMs: 100, maxMessageCount: 100, preferredMaxBytes: 1_000_000, cutWhenIdle: false },
  });
  const { submit, ask } = actionsOn(harness);
  const by = (...endorsingOrganizations: string[]) => ({ endorsingOrganizations });
  const lastEndorsers = async (): Promise<string[]> => endorsersOf((await lastResults(harness)).block);

  it('replace the chaincode’s for their key', async () => {
    await submit('put', ['key', '1']);
    expect(await submit('setPolicy', ['', 'key', 'CMSP'])).to.equal(CODE.VALID);
    expect(JSON.parse(await ask('getPolicy', ['', 'key']))).to.deep.equal(['CMSP']);
    expect(await ask('get', ['key'])).to.equal('1');
    expect(await submit('put', ['key', '2'], by('AMSP', 'BMSP'))).to.equal(CODE.ENDORSEMENT_POLICY_FAILURE);
    expect(await submit('setPolicy', ['', 'key', 'AMSP'], by('AMSP', 'BMSP'))).to.equal(
      CODE.ENDORSEMENT_POLICY_FAILURE,
    );
    expect(await submit('put', ['key', '2'])).to.equal(CODE.VALID);
    expect(await lastEndorsers()).to.deep.equal(['CMSP']);
    expect(JSON.parse(await ask('getPolicy', ['', 'key']))).to.deep.equal(['CMSP']);
  });

  it('go with their key', async () => {
    await submit('del', ['key']);
    expect(JSON.parse(await ask('getPolicy', ['', 'key']))).to.deep.equal([]);
    expect(await submit('put', ['key', '3'], by('AMSP', 'BMSP'))).to.equal(CODE.VALID);
    expect(await submit('setPolicy', ['', 'missing', 'CMSP'])).to.equal(CODE.VALID);
    expect(JSON.parse(await ask('getPolicy', ['', 'missing']))).to.deep.equal([]);
  });

  it('give their key a new version when they change, and leave it to no later transaction of the block', async () => {
    await submit('put', ['n', '1']);
    const proposal = (name: string, args: string[]) =>
      harness.client().contract.newProposal(name, { arguments: args }).endorse();
    const stale = await proposal('increment', ['n']);
    expect(await submit('setPolicy', ['', 'n', 'AMSP'])).to.equal(CODE.VALID);
    expect((await (await stale.submit()).getStatus()).code).to.equal(CODE.MVCC_READ_CONFLICT);
    const [policy, write] = [await proposal('setPolicy', ['', 'n', 'BMSP']), await proposal('put', ['n', '5'])];
    const [first, second] = [await policy.submit(), await write.submit()];
    const statuses = [await first.getStatus(), await second.getStatus()];
    expect(statuses[0]!.blockNumber).to.equal(statuses[1]!.blockNumber);
    expect(statuses.map(({ code }) => code)).to.deep.equal([CODE.VALID, CODE.ENDORSEMENT_POLICY_FAILURE]);
  });
});
