// SPDX-License-Identifier: Apache-2.0
import type { X509Certificate } from 'node:crypto';
import { role as roleName, type ConsortiumRecord, type Role } from '@sev/chaincode/api';
import type { OrganisationProfile } from '../config/profile.js';
import { EXIT, SevError } from '../errors.js';
import { certificateAttributes } from '../identity/certificate-attributes.js';
import { isIssuedBy } from '../identity/certificates.js';

/** Who calls, as its organisation's CA certified it and the ledger allows. */
export interface OrganisationCaller {
  readonly mspId: string;
  readonly role: Role;
}

export interface OrganisationGateOptions {
  readonly organisations: readonly Pick<OrganisationProfile, 'mspId' | 'identityCaCert'>[];
  /** Governance as the own gateway shows it. */
  readonly consortium: () => Promise<Pick<ConsortiumRecord, 'organisations'>>;
  /** How long governance may be old, in ms; default 5 s. */
  readonly viewMs?: number;
}

/** Tells organisations' programs by the certificate that they show over TLS, which is their identity on the channel. */
export class OrganisationGate {
  readonly #options: OrganisationGateOptions;
  #view: { readonly reading: ReturnType<OrganisationGateOptions['consortium']>; readonly readAt: number } | undefined;

  constructor(options: OrganisationGateOptions) {
    this.#options = options;
  }

  /**
   * The organisation by the root that the certificate chains to, the role by its attribute, as on the ledger; the pair
   * must be one that governance lists, so that no CA mints itself a role.
   *
   * @param roles that may call.
   * @throws SevError CLIENT_CERTIFICATE_MISSING, CLIENT_CERTIFICATE_FOREIGN, ACCESS_DENIED; LedgerError.
   */
  async admit(certificate: X509Certificate | undefined, roles: readonly Role[]): Promise<OrganisationCaller> {
    if (certificate === undefined) {
      throw new SevError('CLIENT_CERTIFICATE_MISSING', 'organisations show their certificate over TLS', {
        exitCode: EXIT.refused,
      });
    }
    const organisation = this.#options.organisations.find(
      ({ identityCaCert }) => !certificate.ca && isIssuedBy(certificate, identityCaCert),
    );
    if (organisation === undefined) {
      throw new SevError(
        'CLIENT_CERTIFICATE_FOREIGN',
        'no organisation of the network issued the certificate, or it has ended',
        {
          exitCode: EXIT.refused,
        },
      );
    }
    const { mspId } = organisation;
    const role = roleName.safeParse(certificateAttributes(certificate)['role']);
    const isClient = certificate.subject.split(/\n| \+ /).includes('OU=client');
    if (!isClient || !role.success || !roles.includes(role.data) || !(await this.#isListed(mspId, role.data))) {
      throw new SevError('ACCESS_DENIED', `this is for the roles ${roles.join(', ')} of an organisation`, {
        exitCode: EXIT.refused,
      });
    }
    return { mspId, role: role.data };
  }

  async #isListed(mspId: string, role: Role): Promise<boolean> {
    const now = performance.now();
    if (this.#view === undefined || now - this.#view.readAt >= (this.#options.viewMs ?? 5_000)) {
      const reading = this.#options.consortium();
      this.#view = { reading, readAt: now };
      reading.catch(() => {
        this.#view = undefined;
      });
    }
    const { organisations } = await this.#view.reading;
    return organisations.find((organisation) => organisation.mspId === mspId)?.roles.includes(role) === true;
  }
}
