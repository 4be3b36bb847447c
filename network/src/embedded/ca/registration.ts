// SPDX-License-Identifier: Apache-2.0
import { attributeRefusal, BOOTSTRAP_ATTRIBUTES, derivedAttributes, isRegistrar, mayActOnType } from './attributes.js';
import type { Attribute } from './attributes.js';
import type { Caller, CaContext } from './context.js';
import { authorizationFailure, CA_ERROR, CaError } from './errors.js';
import type { RegisteredIdentity } from './registry.js';
import type { ModificationRequest, RegistrationRequest } from './requests.js';
import { hashSecret, newSecret, secretMatches } from './secrets.js';

const UNLIMITED = -1;

/** An identity as clients see it. */
export interface IdentityView {
  readonly id: string;
  readonly type: string;
  readonly affiliation: string;
  readonly attrs: readonly Attribute[];
  readonly max_enrollments: number;
}

function view({ id, type, affiliation, attributes, maxEnrollments }: RegisteredIdentity): IdentityView {
  return { id, type, affiliation, attrs: attributes, max_enrollments: maxEnrollments };
}

/** Zero and nothing mean the CA's own maximum, which is none. */
function maxEnrollmentsOf(asked: number | null | undefined): number {
  if (asked === undefined || asked === null || asked === 0) {
    return UNLIMITED;
  }
  if (asked < UNLIMITED) {
    throw new CaError(
      400,
      CA_ERROR.INVALID_MAX_ENROLLMENTS,
      `Max enrollment value of ${asked.toString()} is invalid: it must be -1 (no limit), 0 (the CA's default) or above`,
    );
  }
  return asked;
}

/** Registers an identity. @throws CaError 403 when the caller may not, 409 when the id is taken */
export async function register(
  ca: CaContext,
  caller: Caller,
  request: RegistrationRequest,
): Promise<{ secret: string }> {
  const type = request.type === '' ? caller.identity.type : request.type;
  const rights = caller.identity.attributes;
  if (!mayActOnType(rights, type)) {
    throw authorizationFailure(`Registration of '${request.id}' failed: the caller may not act on type '${type}'`);
  }
  const refusal = attributeRefusal(rights, request.attrs);
  if (refusal !== undefined) {
    throw authorizationFailure(`Registration of '${request.id}' failed: ${refusal}`);
  }
  const maxEnrollments = maxEnrollmentsOf(request.max_enrollments);
  const drawn = request.secret === '';
  const secret = drawn ? newSecret() : request.secret;
  const hash = await hashSecret(secret, drawn);
  await ca.registry.exclusively(async () => {
    if (ca.registry.identity(request.id) !== undefined) {
      throw new CaError(409, CA_ERROR.IDENTITY_ALREADY_REGISTERED, `Identity '${request.id}' is already registered`);
    }
    await ca.registry.putIdentity({
      id: request.id,
      type,
      affiliation: request.affiliation,
      attributes: [...request.attrs, ...derivedAttributes(request.id, type, request.affiliation)],
      maxEnrollments,
      enrollments: 0,
      failedAttempts: 0,
      revoked: false,
      secret: hash,
    });
  });
  return { secret };
}

function managed(ca: CaContext, caller: Caller, id: string): RegisteredIdentity {
  if (!isRegistrar(caller.identity.attributes)) {
    throw authorizationFailure('Caller is not a registrar');
  }
  const identity = ca.registry.identity(id);
  if (identity === undefined) {
    throw new CaError(404, CA_ERROR.IDENTITY_NOT_FOUND, `Failed to get User: identity '${id}' was not found`);
  }
  if (!mayActOnType(caller.identity.attributes, identity.type)) {
    throw authorizationFailure(`The caller may not act on type '${identity.type}'`);
  }
  return identity;
}

/** One identity. @throws CaError 403, 404 */
export function getIdentity(ca: CaContext, caller: Caller, id: string): IdentityView & { caname: string } {
  return { ...view(managed(ca, caller, id)), caname: ca.name };
}

/** All identities that the caller may act on. @throws CaError 403 */
export async function listIdentities(
  ca: CaContext,
  caller: Caller,
): Promise<{ identities: readonly IdentityView[]; caname: string }> {
  const rights = caller.identity.attributes;
  if (!isRegistrar(rights)) {
    throw authorizationFailure('Caller is not a registrar');
  }
  const all = await ca.registry.identities();
  return { identities: all.filter(({ type }) => mayActOnType(rights, type)).map(view), caname: ca.name };
}

/** Changes type, attributes, maximum or secret; an attribute with an empty value is taken away. @throws CaError */
export async function modifyIdentity(
  ca: CaContext,
  caller: Caller,
  id: string,
  request: ModificationRequest,
): Promise<IdentityView & { caname: string }> {
  const secret = request.secret === '' ? undefined : await hashSecret(request.secret, false);
  return ca.registry.exclusively(async () => {
    const identity = managed(ca, caller, id);
    const type = request.type === '' ? identity.type : request.type;
    const rights = caller.identity.attributes;
    const refusal = attributeRefusal(rights, request.attrs);
    if (!mayActOnType(rights, type) || refusal !== undefined) {
      throw authorizationFailure(refusal ?? `The caller may not act on type '${type}'`);
    }
    const affiliation = request.affiliation === '' ? identity.affiliation : request.affiliation;
    const derived = derivedAttributes(id, type, affiliation);
    const replaced = new Set([...request.attrs, ...derived].map(({ name }) => name));
    const changed: RegisteredIdentity = {
      ...identity,
      type,
      affiliation,
      attributes: [
        ...identity.attributes.filter(({ name }) => !replaced.has(name)),
        ...request.attrs.filter(({ value }) => value !== ''),
        ...derived,
      ],
      maxEnrollments:
        request.max_enrollments === undefined || request.max_enrollments === null
          ? identity.maxEnrollments
          : maxEnrollmentsOf(request.max_enrollments),
      ...(secret === undefined ? {} : { secret, failedAttempts: 0 }),
    };
    await ca.registry.putIdentity(changed);
    return { ...view(changed), caname: ca.name };
  });
}

/** Makes sure that the CA's own registrar exists and has this secret (drawn by `newSecret`). */
export async function ensureBootstrapRegistrar(ca: CaContext, id: string, secret: string): Promise<void> {
  await ca.registry.exclusively(async () => {
    const existing = ca.registry.identity(id);
    if (existing !== undefined && existing.failedAttempts === 0 && (await secretMatches(existing.secret, secret))) {
      return;
    }
    await ca.registry.putIdentity({
      id,
      type: 'client',
      affiliation: '',
      attributes: [...BOOTSTRAP_ATTRIBUTES, ...derivedAttributes(id, 'client', '')],
      maxEnrollments: UNLIMITED,
      enrollments: 0,
      revoked: false,
      ...existing,
      failedAttempts: 0,
      secret: await hashSecret(secret, true),
    });
  });
}
