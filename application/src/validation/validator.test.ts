// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { sha256Hex, type SecureTerms, type Validation } from '@sev/chaincode/api';
import { CITY, GRID, MAKER, REGULATOR } from '@sev/chaincode/testing';
import { startAttesterServer, type AttesterServerOptions } from '../attester/server.js';
import type { AttemptRef } from '../services/attempt.js';
import type { HttpServer } from '../services/http-server.js';
import { silentLog } from '../services/log.js';
import { SecureBed } from '../testing/secure-bed.js';
import { validationDataOf } from '../testing/secure-bed-consortium.js';
import { codeOf } from '../testing/temporary.js';
import { isValidationSigned } from './opening-validations.js';
import { validationDataHash, type ValidationData } from './validation-data.js';
import { HttpValidator, type ValidatorClient } from './validator-client.js';
import { Validator } from './validator.js';

const validation = { validators: [CITY, GRID, MAKER], pastRounds: 3, quarantineMilli: 6_000 };
const terms: Partial<SecureTerms> = { projections: 2, rule: 'capped-trust', validation };

describe('A validator', () => {
  let bed: SecureBed;
  let ref: AttemptRef;
  let base: string;
  let data: ValidationData;

  beforeEach(async () => {
    bed = await SecureBed.start({ terms });
    const { taskId, model } = bed.task;
    ref = { taskId, round: 1, attempt: 1 };
    base = model.initialModelHash;
    data = validationDataOf(bed.task, CITY)!;
  });
  afterEach(() => bed.stop());

  /** A new process of it. */
  const validatorOf = async (mspId = CITY, own = data): Promise<Validator> =>
    new Validator({
      ...{ session: await bed.session(mspId, 'attester'), store: bed.store, signer: bed.signer(mspId) },
      ...{ data: own, log: silentLog },
    });
  const placed = () => ({ ...ref, consortium: bed.consortium.bootstrapHash, baseModelHash: base });

  it('signs its data, the loss of the base on them and its direction, and the same after a restart', async () => {
    const word = await (await validatorOf()).validate(ref, base);
    expect(word.mspId).to.equal(CITY);
    expect(word.dataHash).to.equal(validationDataHash(data));
    expect(word.lossMicro).to.be.greaterThan(0);
    expect(isValidationSigned(await consortium(), placed(), word)).to.equal(true);
    const { signature: _one, ...content } = word;
    const { signature: _other, ...again } = await (await validatorOf()).validate(ref, base);
    expect(again).to.deep.equal(content);
  });

  it('has another direction for another attempt, so that one that was shown says nothing of the next', async () => {
    const validator = await validatorOf();
    const first = await validator.validate(ref, base);
    await bed.run();
    const second = { ...ref, round: 2 };
    const { proposal } = await bed.round();
    const next = await validator.validate(second, proposal!.modelHash);
    expect(next.directionHash).to.not.equal(first.directionHash);
    expect(next.dataHash).to.equal(first.dataHash);
  });

  it('gives its word for no attempt, base or task but what the ledger opens next, and names why', async () => {
    const validator = await validatorOf();
    expect(await codeOf(validator.validate({ ...ref, round: 2 }, base))).to.equal('ROUND_OUT_OF_ORDER');
    expect(await codeOf(validator.validate({ ...ref, attempt: 2 }, base))).to.equal('ROUND_OUT_OF_ORDER');
    expect(await codeOf(validator.validate(ref, sha256Hex('another')))).to.equal('BASE_MODEL_MISMATCH');
    expect(await codeOf((await validatorOf(REGULATOR)).validate(ref, base))).to.equal('VALIDATOR_NOT_NAMED');
    const foreign = await validatorOf(CITY, { ...data, features: 'demand/other' });
    expect(await codeOf(foreign.validate(ref, base))).to.equal('VALIDATION_DATA_FOREIGN');
  });

  it('shows no direction before the cohort is fixed, and none of other data than it gave its word for', async () => {
    const validator = await validatorOf();
    expect(await codeOf(validator.publish(ref))).to.equal('ROUND_STALE');
    await bed.run();
    const { secure } = await bed.round();
    const committed = secure!.opening.validations!.find(({ mspId }) => mspId === CITY)!;
    expect(await validator.publish(ref)).to.equal(committed.directionHash);
    const changed = await validatorOf(CITY, { ...data, data: { ...data.data, y: data.data.y.map((y) => -y + 70) } });
    expect(await codeOf(changed.publish(ref))).to.equal('DIRECTION_MISMATCH');
    expect(await codeOf((await validatorOf(REGULATOR)).publish(ref))).to.equal('VALIDATION_UNKNOWN');
    expect(await codeOf(validator.publish({ ...ref, attempt: 2 }))).to.equal('ROUND_STALE');
  });

  it('speaks over HTTP as it does in its process', async () => {
    const validator = await validatorOf();
    const never = {} as Pick<AttesterServerOptions, 'attester' | 'arbiter'>;
    const server: HttpServer = await bed.clock.idleWith(
      startAttesterServer({ ...never, validator, mspId: CITY, log: silentLog }),
    );
    bed.clock.uninstall();
    try {
      const client: ValidatorClient = new HttpValidator(CITY, `${server.url}/`);
      const word: Validation = await client.validate(ref, base);
      expect(isValidationSigned(await consortium(), placed(), word)).to.equal(true);
      expect(await codeOf(client.validate({ ...ref, round: 2 }, base))).to.equal('ROUND_OUT_OF_ORDER');
      expect(await codeOf(client.publish(ref))).to.equal('ROUND_STALE');
    } finally {
      await server.close();
    }
  });

  const consortium = async () => {
    const { governance } = await import('../ledger/contracts.js');
    return governance(await bed.session(GRID, 'operator')).consortium();
  };
});
