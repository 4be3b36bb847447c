// SPDX-License-Identifier: Apache-2.0
import { common, msp } from '@hyperledger/fabric-protos';
import { expect } from 'chai';
import { bftQuorum, readConfigTransaction, type ConfigTransaction } from './channel-config.js';
import { newChannel, type Channel } from './channel.js';
import { checkConfigUpdate, ConfigUpdateError } from './config-update.js';
import { configBlocksOf, envelopesOf, recordedLedger, type RecordedLedger } from './testing/recorded-ledger.js';

describe('configuration updates', () => {
  let ledger: RecordedLedger;
  let genesis: ConfigTransaction;
  /** Revokes a certificate of one organisation, signed by that organisation's administrator. */
  let revocation: ConfigTransaction;
  /** Admits an organisation, signed by three of four administrators. */
  let admission: ConfigTransaction;
  /** Takes a consenter out of the ordering service. */
  let departure: ConfigTransaction;

  before(async () => {
    ledger = await recordedLedger('bft');
    const all = configBlocksOf(ledger).map((block) => readConfigTransaction(envelopesOf(block)[0]!));
    [genesis, revocation, admission, departure] = all as [
      ConfigTransaction,
      ConfigTransaction,
      ConfigTransaction,
      ConfigTransaction,
    ];
  });

  const check = (inForce: ConfigTransaction, next: ConfigTransaction): number =>
    checkConfigUpdate(newChannel(inForce.config), next, ledger.anchors.channel);
  const refusal = (inForce: ConfigTransaction, next: ConfigTransaction): string => {
    try {
      check(inForce, next);
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigUpdateError);
      return (error as ConfigUpdateError).message;
    }
    throw new Error('The update was expected to be refused');
  };
  /** The same with other signatures on the update. */
  const signedBy = (
    next: ConfigTransaction,
    change: (signatures: common.ConfigSignature[]) => common.ConfigSignature[],
  ): ConfigTransaction => {
    const envelope = next.lastUpdate!.clone();
    const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
    const update = common.ConfigUpdateEnvelope.deserializeBinary(payload.getData_asU8());
    update.setSignaturesList(change(update.getSignaturesList()));
    payload.setData(update.serializeBinary());
    envelope.setPayload(payload.serializeBinary());
    return { ...next, lastUpdate: envelope };
  };
  /** The same with another configuration than the update leads to. */
  const claiming = (next: ConfigTransaction, change: (root: common.ConfigGroup) => void): ConfigTransaction => {
    const root = next.config.root.clone();
    change(root);
    return { ...next, config: { ...next.config, root } };
  };
  const group = (root: common.ConfigGroup, ...names: string[]): common.ConfigGroup =>
    names.reduce((parent, name) => parent.getGroupsMap().get(name)!, root);

  it('follow from one another on a real ledger', () => {
    expect(check(genesis, revocation)).to.be.at.least(1);
    expect(check(revocation, admission)).to.be.at.least(3);
    expect(check(admission, departure)).to.be.at.least(3);
  });

  it('come in their order', () => {
    expect(refusal(genesis, admission)).to.equal('its sequence is 2, 1 follows');
    expect(refusal(revocation, revocation)).to.equal('its sequence is 1, 2 follows');
  });

  it('need the signatures of those who may change what they change', () => {
    const nobody = refusal(
      genesis,
      signedBy(revocation, () => []),
    );
    expect(nobody).to.contain('/GridOperatorMSP/Admins').and.to.contain('it was signed by nobody');
    const two = signedBy(admission, (signatures) => signatures.slice(0, 2));
    expect(refusal(revocation, two)).to.contain('[Group] /Channel/Application may be changed by');
    const twice = signedBy(admission, ([first]) => [first!, first!, first!]);
    expect(refusal(revocation, twice)).to.contain('/Channel/Application/Admins');
  });

  it('count no signature that does not hold, and none for another update', () => {
    const broken = signedBy(revocation, ([first]) => {
      const signature = first!.getSignature_asU8();
      first!.setSignature(signature.with(-1, signature.at(-1)! ^ 1));
      return [first!];
    });
    expect(refusal(genesis, broken)).to.contain('it was signed by nobody');
    const borrowed = signedBy(revocation, () => {
      const payload = common.Payload.deserializeBinary(admission.lastUpdate!.getPayload_asU8());
      return common.ConfigUpdateEnvelope.deserializeBinary(payload.getData_asU8()).getSignaturesList();
    });
    expect(refusal(genesis, borrowed)).to.contain('it was signed by nobody');
  });

  it('lead to exactly the configuration that they describe', () => {
    const more = claiming(revocation, (root) => {
      group(root, 'Application').getGroupsMap().set('Stranger', new common.ConfigGroup());
    });
    expect(refusal(genesis, more)).to.equal('[Group] /Channel/Application is not what the update makes it');
    const weaker = claiming(revocation, (root) => {
      root.getPoliciesMap().get('Admins')!.getPolicy()!.setValue(Uint8Array.of());
    });
    expect(refusal(genesis, weaker)).to.equal('[Policy] /Channel/Admins is not what the update makes it');
    const same = claiming(revocation, (root) => {
      const value = genesis.config.root.getGroupsMap().get('Application')!.getGroupsMap().get('GridOperatorMSP')!;
      group(root, 'Application').getGroupsMap().set('GridOperatorMSP', value.clone());
    });
    expect(refusal(genesis, same)).to.contain('GridOperatorMSP/MSP is not what the update makes it');
  });

  it('are made for their channel', () => {
    expect(() => checkConfigUpdate(newChannel(genesis.config), revocation, 'other')).to.throw('for channel sevchannel');
  });

  describe('decide whom to believe', () => {
    const creatorOf = (envelopeBytes: Uint8Array): Uint8Array => {
      const payload = common.Payload.deserializeBinary(
        common.Envelope.deserializeBinary(envelopeBytes).getPayload_asU8(),
      );
      return common.SignatureHeader.deserializeBinary(payload.getHeader()!.getSignatureHeader_asU8()).getCreator_asU8();
    };
    const creators = (mspId: string): Uint8Array[] =>
      ledger.blocks
        .slice(1)
        .flatMap(envelopesOf)
        .map(creatorOf)
        .filter((creator) => msp.SerializedIdentity.deserializeBinary(creator).getMspid() === mspId);
    const refused = (channel: Channel, identity: Uint8Array): string => {
      try {
        channel.membership.identify(identity);
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };

    it('not those whose certificate is revoked', () => {
      const [before, after] = [newChannel(genesis.config), newChannel(revocation.config)];
      const own = creators('GridOperatorMSP');
      expect(own.filter((creator) => refused(before, creator) !== '')).to.deep.equal([]);
      const revoked = own.filter((creator) => refused(after, creator) !== '');
      expect(revoked.length).to.be.at.least(1);
      expect(refused(after, revoked[0]!)).to.match(/CN=operator is revoked$/);
      expect(own.length).to.be.greaterThan(revoked.length, 'others of the organisation are still members');
    });

    it('organisations as soon as they have joined', () => {
      const mspIds = (transaction: ConfigTransaction): readonly string[] => transaction.config.applicationMspIds;
      expect(mspIds(revocation)).to.have.length(4).and.to.not.include('GuestMSP');
      expect(mspIds(admission)).to.have.length(5).and.to.include('GuestMSP');
    });

    it('consenters as long as they are in the ordering service', () => {
      expect(admission.config.consenters?.map(({ id }) => id)).to.deep.equal([1, 2, 3, 4]);
      expect(departure.config.consenters?.map(({ id }) => id)).to.deep.equal([1, 2, 3]);
      expect([1, 2, 3, 4, 5, 6, 7, 10].map(bftQuorum)).to.deep.equal([1, 2, 2, 3, 4, 4, 5, 7]);
    });
  });
});
