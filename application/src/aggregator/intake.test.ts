// SPDX-License-Identifier: Apache-2.0
import { createPublicKey } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { verifyStatement, type ReceiptStatement, type SignedBy } from '@sev/chaincode/api';
import { until } from '../testing/federation.js';
import { codeOf, temporaryDirectory } from '../testing/temporary.js';
import { appendDurably } from './share-log.js';
import type { PreparedShare } from './testing/scene.js';
import { Scene, type SceneOptions } from './testing/scene.js';
import { changeShare, keptShares, shareOnDisk } from './testing/share-files.js';

const CITY = 'CityMSP';

describe('Taking shares in', () => {
  const directory = temporaryDirectory();
  let scenes = 0;
  const open = async (options: Omit<SceneOptions, 'directory'> = {}): Promise<Scene> => {
    const scene = await Scene.start({ ...options, directory: `${directory()}/${String(scenes++)}` });
    await scene.open();
    return scene;
  };
  const sharesIn = (scene: Scene): string => join(scene.homeOf(CITY), scene.ref.taskId, '1-1', 'shares');
  const first = (scene: Scene): Promise<PreparedShare> => scene.share(scene.federation.vehicleIds[0]!);

  function isReceipt(scene: Scene, share: PreparedShare, { mspId, signature }: SignedBy): boolean {
    const { vehicleId, updateHash } = share.submissionFor(CITY).envelope;
    const statement: ReceiptStatement = {
      type: 'sev/share-receipt/v1',
      ...{ consortium: scene.federation.consortium, ...scene.ref, mspId },
      ...{ vehicleId, commitmentRoot: updateHash },
    };
    return verifyStatement(statement, signature, createPublicKey(scene.federation.organisationKey(mspId)));
  }

  it('gives a receipt that anyone can verify, and the same for the same share, at once and after a restart', async () => {
    const scene = await open();
    const share = await first(scene);
    const submission = share.submissionFor(CITY);
    const receipts = await Promise.all([
      scene.at(CITY).submitShare(submission),
      scene.at(CITY).submitShare(submission),
    ]);
    const again = await (await scene.restart(CITY)).submitShare(submission);
    expect(receipts).to.deep.equal([again, again]);
    expect(isReceipt(scene, share, again)).to.equal(true);
  });

  it('gives the receipt only once the share is on the disk, readable by nobody else', async () => {
    const scene = await open();
    const share = await first(scene);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let waiting = false;
    const city = await scene.restart(CITY, {
      disk: {
        append: async (...file) => {
          waiting = true;
          await held;
          await appendDurably(...file);
        },
      },
    });
    let receipt: SignedBy | undefined;
    const submitting = city.submitShare(share.submissionFor(CITY)).then((given) => {
      receipt = given;
    });
    await until(() => waiting);
    await new Promise((resolve) => setImmediate(resolve));
    expect(receipt).to.equal(undefined);
    expect(await keptShares(sharesIn(scene))).to.deep.equal([]);
    release();
    await submitting;
    expect(await keptShares(sharesIn(scene))).to.deep.equal([share.submissionFor(CITY).envelope.vehicleId]);
    expect((await stat(sharesIn(scene))).mode & 0o777).to.equal(0o700);
  });

  it('gives no receipt where the disk is full, and takes the same share once there is room', async () => {
    const scene = await open();
    const submission = (await first(scene)).submissionFor(CITY);
    const full = await scene.restart(CITY, {
      disk: { append: () => Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })) },
    });
    expect(await codeOf(full.submitShare(submission))).to.equal('STORAGE_FULL');
    const broken = await scene.restart(CITY, {
      disk: { append: () => Promise.reject(Object.assign(new Error('i/o error'), { code: 'EIO' })) },
    });
    expect(await codeOf(broken.submitShare(submission))).to.equal('STORAGE_FAILED');
    expect(await keptShares(sharesIn(scene))).to.deep.equal([]);
    expect((await (await scene.restart(CITY)).submitShare(submission)).mspId).to.equal(CITY);
  });

  it('refuses another share of the same vehicle for the same attempt', async () => {
    const scene = await open();
    const [one, other] = await Promise.all([first(scene), first(scene)]);
    await scene.at(CITY).submitShare(one.submissionFor(CITY));
    expect(await codeOf(scene.at(CITY).submitShare(other.submissionFor(CITY)))).to.equal('SHARE_CONFLICT');
    const third = await scene.restart(CITY);
    expect(await codeOf(third.submitShare(other.submissionFor(CITY)))).to.equal('SHARE_CONFLICT');
  });

  it('keeps one of two shares that come at once', async () => {
    const scene = await open();
    const two = await Promise.all([first(scene), first(scene)]);
    const answers = await Promise.allSettled(two.map((share) => scene.at(CITY).submitShare(share.submissionFor(CITY))));
    const codes = answers.map((a) => (a.status === 'fulfilled' ? 'ok' : (a.reason as { code: string }).code));
    expect(codes.sort()).to.deep.equal(['SHARE_CONFLICT', 'ok']);
  });

  it('takes shares of no vehicle that the ledger does not show active and with this key', async () => {
    const scene = await open();
    const { federation } = scene;
    const [id, other, suspended] = federation.vehicleIds as [string, string, string];
    const submission = (await scene.share(id)).submissionFor(CITY);
    const submit = (change: Partial<typeof submission.envelope>): Promise<unknown> =>
      codeOf(scene.at(CITY).submitShare({ ...submission, envelope: { ...submission.envelope, ...change } }));
    expect(await submit({ signature: 'A'.repeat(86) })).to.equal('SIGNATURE_INVALID');
    expect(await submit({ vehicleId: other })).to.equal('SIGNATURE_INVALID');
    expect(await submit({ weightClass: 1 })).to.equal('SIGNATURE_INVALID');
    expect(await submit({ updateHash: 'a'.repeat(64) })).to.equal('SIGNATURE_INVALID');
    expect(await submit({ vehicleId: `v-${'A'.repeat(22)}` })).to.equal('VEHICLE_UNKNOWN');
    expect(await keptShares(sharesIn(scene))).to.deep.equal([]);
    federation.ledger.statuses.set(suspended, 'suspended');
    expect(await codeOf(scene.at(CITY).submitShare((await scene.share(suspended)).submissionFor(CITY)))).to.equal(
      'VEHICLE_NOT_ACTIVE',
    );
  });

  const changes = {
    'a vehicle was suspended': (vehicleId: string) =>
      ({ status: 'suspended', event: { type: 'VehicleStatusChanged', vehicleId, status: 'suspended' } }) as const,
    'an incident has a vehicle revoked': (vehicleId: string) => {
      const incident = { taskId: 'price-1', incidentId: 'incident-1', state: 'confirmed' } as const;
      return { status: 'revoked', event: { type: 'IncidentStep', ...incident, vehicleId } } as const;
    },
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`hears that ${what}`, async () => {
      const scene = await open();
      const city = scene.at(CITY);
      const running = city.run();
      const { vehicleIds, ledger } = scene.federation;
      const id = vehicleIds[0]!;
      await city.submitShare((await scene.share(id)).submissionFor(CITY));
      const { status, event } = change(id);
      ledger.statuses.set(id, status);
      ledger.announce(event);
      const again = await scene.share(id);
      for (let code: unknown; code !== 'VEHICLE_NOT_ACTIVE';) {
        code = await codeOf(city.submitShare(again.submissionFor(CITY)));
        expect(code).to.be.oneOf(['SHARE_CONFLICT', 'VEHICLE_NOT_ACTIVE']);
      }
      city.end();
      await running;
    });
  }

  it('refuses shares for another round, attempt or base, and in a state that takes none', async () => {
    const scene = await open();
    const submission = (await first(scene)).submissionFor(CITY);
    const submit = (change: Partial<typeof submission>): Promise<unknown> =>
      codeOf(scene.at(CITY).submitShare({ ...submission, ...change }));
    expect(await submit({ attempt: 2 })).to.equal('ROUND_STALE');
    expect(await submit({ round: 2 })).to.equal('ROUND_STALE');
    expect(await submit({ baseModelHash: 'a'.repeat(64) })).to.equal('ROUND_STALE');
    scene.federation.ledger.advance(scene.ref, { state: 'aborted' });
    expect(await submit({})).to.equal('ROUND_STATE');
  });

  it('refuses each share that is not one for it: altered, for another aggregator or vehicle, or without its vector', async () => {
    const scene = await open();
    const { federation } = scene;
    const [a, b] = federation.vehicleIds as [string, string];
    const share = await scene.share(a);
    const submission = share.submissionFor(CITY);
    const submit = (sealed: string): Promise<unknown> => codeOf(scene.at(CITY).submitShare({ ...submission, sealed }));
    const altered = Buffer.from(submission.sealed, 'base64');
    altered[100]! ^= 1;
    expect(await submit(altered.toString('base64'))).to.equal('SHARE_UNREADABLE');
    expect(await submit(submission.sealed.slice(0, 40))).to.equal('SHARE_UNREADABLE');
    expect(await submit(share.submissionFor('GridMSP').sealed)).to.equal('SHARE_UNREADABLE');
    expect(await submit((await scene.share(b)).submissionFor(CITY).sealed)).to.equal('SHARE_UNREADABLE');
    federation.store.objects.delete(share.report.ciphertextHash);
    expect(await submit(submission.sealed)).to.equal('SHARE_INCOMPLETE');
    expect(await keptShares(sharesIn(scene))).to.deep.equal([]);
  });

  it('takes a store that does not answer for an outage and not for a fault of the vehicle', async () => {
    const scene = await open();
    const submission = (await first(scene)).submissionFor(CITY);
    const { SevError } = await import('../errors.js');
    scene.federation.store.get = () => Promise.reject(new SevError('STORE_UNREACHABLE', 'down'));
    expect(await codeOf(scene.at(CITY).submitShare(submission))).to.equal('STORE_UNREACHABLE');
  });

  it('turns shares away while too many wait', async () => {
    const scene = await open();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const city = await scene.restart(CITY, {
      limits: { atATime: 1, waiting: 1, viewMs: 0 },
      disk: {
        append: async (...file) => {
          await held;
          await appendDurably(...file);
        },
      },
    });
    const shares = await Promise.all(scene.federation.vehicleIds.map((id) => scene.share(id)));
    const taken = shares.slice(0, 2).map((share) => city.submitShare(share.submissionFor(CITY)));
    expect(await codeOf(city.submitShare(shares[2]!.submissionFor(CITY)))).to.equal('SERVICE_BUSY');
    release();
    await Promise.all(taken);
    expect((await city.submitShare(shares[2]!.submissionFor(CITY))).mspId).to.equal(CITY);
  });

  it('gives no place to vehicles that are made up while the ledger is asked for them', async () => {
    const scene = await open();
    const [one, other] = await Promise.all(scene.federation.vehicleIds.map((id) => scene.share(id)));
    const own = scene.federation.ledger.session(CITY);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    const city = await scene.restart(CITY, {
      limits: { atATime: 1, waiting: 1, viewMs: 0 },
      session: {
        ...own,
        evaluate: async (contract, transaction, argument) => {
          const { vehicleIds = [] } = argument as { vehicleIds?: string[] };
          const madeUp = vehicleIds.filter((vehicleId) => vehicleId.startsWith('v-A'));
          if (transaction === 'FindVehicles' && madeUp.length > 0) {
            asked += madeUp.length;
            await held;
          }
          return own.evaluate(contract, transaction, argument);
        },
      },
    });
    const submission = one!.submissionFor(CITY);
    await city.submitShare(submission);
    const madeUp = ['A', 'B', 'C'].map((name) => {
      const vehicleId = `v-A${name.repeat(21)}`;
      return codeOf(city.submitShare({ ...submission, envelope: { ...submission.envelope, vehicleId } }));
    });
    await until(() => asked === 2);
    expect((await city.submitShare(submission)).mspId, 'one that is known').to.equal(CITY);
    expect(await codeOf(city.submitShare(other!.submissionFor(CITY))), 'one that is not').to.equal('SERVICE_BUSY');
    release();
    expect((await Promise.all(madeUp)).sort()).to.deep.equal(['SERVICE_BUSY', 'VEHICLE_UNKNOWN', 'VEHICLE_UNKNOWN']);
    expect((await city.submitShare(other!.submissionFor(CITY))).mspId).to.equal(CITY);
  });

  it('takes a share that was changed on the disk in again', async () => {
    const scene = await open();
    const share = await first(scene);
    const submission = share.submissionFor(CITY);
    await scene.at(CITY).submitShare(submission);
    const { vehicleId } = submission.envelope;
    for (const damaged of [0, 40]) {
      await changeShare(sharesIn(scene), vehicleId, (bytes) => {
        bytes[damaged]! ^= 1;
        return bytes;
      });
      const receipt = await (await scene.restart(CITY)).submitShare(submission);
      expect(isReceipt(scene, share, receipt)).to.equal(true);
      const once = await shareOnDisk(sharesIn(scene), vehicleId);
      expect(await (await scene.restart(CITY)).submitShare(submission)).to.deep.equal(receipt);
      expect(await shareOnDisk(sharesIn(scene), vehicleId), 'kept once').to.deep.equal(once);
    }
  });

  it('writes no secret in the clear beside the keys', async () => {
    const scene = await open();
    const share = await first(scene);
    await scene.at(CITY).submitShare(share.submissionFor(CITY));
    const file = await shareOnDisk(sharesIn(scene), share.submissionFor(CITY).envelope.vehicleId);
    expect(file.includes(Buffer.from(share.report.root, 'hex'))).to.equal(false);
  });
});
