// SPDX-License-Identifier: Apache-2.0
import { expect } from 'chai';
import { CertificateAuthority } from '../embedded/ca/authority.js';
import { x509 } from '../embedded/msp/x509.js';
import { rejectionOf } from './testing/rejection.js';
import { channelConfigSchema } from './config-document.js';
import { mergedLists, revocationListsOf, withRevocationLists } from './revocation.js';

const serial = (number: number): string => number.toString(16).padStart(32, '1');

async function newAuthority(): Promise<{ caCert: string; list: (...serials: string[]) => Promise<string> }> {
  const pair = await CertificateAuthority.createRoot('CityMSP', 'ca-city');
  const authority = await CertificateAuthority.open(pair);
  return {
    caCert: pair.certificatePem,
    list: (...serials) =>
      authority.issueRevocationList(
        serials.map((revoked) => ({ serial: revoked, revokedAtMs: 0, reason: x509.X509CrlReason.unspecified })),
      ),
  };
}

describe('revocation lists in a channel configuration', () => {
  const msp = (name: string) => ({
    values: {
      MSP: { mod_policy: 'Admins', value: { type: 0, config: { name, root_certs: ['x'], revocation_list: [] } } },
    },
  });
  const document = () =>
    channelConfigSchema.parse({
      groups: {
        Application: { groups: { CityMSP: msp('CityMSP'), GridMSP: msp('GridMSP') } },
        Orderer: { groups: { CityMSP: msp('CityMSP') } },
      },
    });

  it('go into every group that knows the organisation, and into no other', () => {
    const changed = withRevocationLists(document(), 'CityMSP', ['a list']);
    const { Application: application, Orderer: orderer } = changed.groups ?? {};
    expect(application?.groups?.['CityMSP']).to.deep.equal(orderer?.groups?.['CityMSP']);
    expect(revocationListsOf(changed, 'CityMSP')).to.deep.equal(['a list']);
    expect(revocationListsOf(changed, 'GridMSP')).to.deep.equal([]);
    expect(() => revocationListsOf(changed, 'NobodyMSP')).to.throw(/NobodyMSP/);
  });

  it('replace those that name no others', async () => {
    const { caCert, list } = await newAuthority();
    const [old, newer] = [await list(serial(1)), await list(serial(1), serial(2))];
    expect(await mergedLists(caCert, [], old)).to.deep.equal([old]);
    expect(await mergedLists(caCert, [old], newer)).to.deep.equal([newer]);
  });

  it('never let somebody back in, whatever a restored CA has forgotten', async () => {
    const { caCert, list } = await newAuthority();
    const [known, forgetful] = [await list(serial(1), serial(2)), await list(serial(3))];
    expect(await mergedLists(caCert, [known], forgetful)).to.deep.equal([known, forgetful]);
    expect(await mergedLists(caCert, [known], await list())).to.deep.equal([known]);
    const all = await list(serial(1), serial(2), serial(3));
    expect(await mergedLists(caCert, [known, forgetful], all)).to.deep.equal([all]);
  });

  it('are refused where another CA made them', async () => {
    const [own, other] = [await newAuthority(), await newAuthority()];
    expect(String(await rejectionOf(mergedLists(own.caCert, [], await other.list(serial(1)))))).to.match(/belong/);
  });
});
