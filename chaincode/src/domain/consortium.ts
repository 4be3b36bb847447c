// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  majorityOf,
  parsePublicKey,
  type Bootstrap,
  type Change,
  type MakerKey,
  type Organisation,
} from '../api';

/** Checks what a schema cannot: that the consortium can act and that no organisation could vote twice. */
export function checkBootstrap(content: Bootstrap): void {
  checkOrganisations(content.organisations);
  requireUnique('makers', 'makerKeyId', content.makers);
  content.makers.forEach((maker) => {
    checkMaker(maker, content.organisations);
  });
}

/** @throws ContractError ACCESS_DENIED unless the caller operates one of the organisations that are to be members. */
export function checkBootstrapCaller(content: Bootstrap, mspId: string): void {
  const organisation = content.organisations.find((candidate) => candidate.mspId === mspId);
  if (organisation?.roles.includes('operator') !== true) {
    throw new ContractError('ACCESS_DENIED', `${mspId} is not among the organisations with the role operator`);
  }
}

/** The member organisations after a put. */
export function withOrganisation(members: readonly Organisation[], organisation: Organisation): Organisation[] {
  const others = members.filter(({ mspId }) => mspId !== organisation.mspId);
  const result = [...others, organisation];
  checkOrganisations(result);
  return result;
}

/**
 * The member organisations after a removal.
 *
 * @throws ContractError ORGANISATION_UNKNOWN; ARGUMENT_INVALID where nobody would be left to decide.
 */
export function withoutOrganisation(members: readonly Organisation[], mspId: string): Organisation[] {
  const result = members.filter((member) => member.mspId !== mspId);
  if (result.length === members.length) {
    throw new ContractError('ORGANISATION_UNKNOWN', mspId);
  }
  checkOrganisations(result);
  return result;
}

/** @throws ContractError ORGANISATION_UNKNOWN, ARGUMENT_INVALID */
export function checkMaker(maker: MakerKey, members: readonly Organisation[]): void {
  if (!members.some(({ mspId }) => mspId === maker.mspId)) {
    throw new ContractError('ORGANISATION_UNKNOWN', `${maker.mspId} of maker key ${maker.makerKeyId}`);
  }
  requireKey(`maker ${maker.makerKeyId}`, maker.publicKey);
}

/** Checks of a proposed change that hold whatever the ledger's state. */
export function checkChange(change: Change): void {
  if (change.kind === 'put-organisation') {
    requireKey(`organisation ${change.organisation.mspId}`, change.organisation.signingKey);
    requireUniqueRoles(change.organisation);
  } else if (change.kind === 'put-maker') {
    requireKey(`maker ${change.maker.makerKeyId}`, change.maker.publicKey);
  }
}

function checkOrganisations(organisations: readonly Organisation[]): void {
  requireUnique('organisations', 'mspId', organisations);
  requireUnique('organisations', 'name', organisations);
  requireUnique('organisations', 'signingKey', organisations);
  organisations.forEach((organisation) => {
    requireKey(`organisation ${organisation.mspId}`, organisation.signingKey);
    requireUniqueRoles(organisation);
  });
  // Only operators vote, and a majority of all members decides: with fewer operators nothing could ever be changed.
  const operators = organisations.filter(({ roles }) => roles.includes('operator')).length;
  const needed = majorityOf(organisations.length);
  if (operators < needed) {
    const detail = `${operators} of ${organisations.length} hold the role operator, ${needed} must`;
    throw new ContractError('ARGUMENT_INVALID', `organisations: ${detail}`);
  }
}

function requireUniqueRoles({ mspId, roles }: Organisation): void {
  if (new Set(roles).size !== roles.length) {
    throw new ContractError('ARGUMENT_INVALID', `organisation ${mspId}: roles occur twice`);
  }
}

function requireUnique<K extends string>(list: string, field: K, items: readonly Readonly<Record<K, string>>[]): void {
  if (new Set(items.map((item) => item[field])).size !== items.length) {
    throw new ContractError('ARGUMENT_INVALID', `${list}: the same ${field} occurs twice`);
  }
}

function requireKey(owner: string, publicKey: string): void {
  if (parsePublicKey(publicKey) === undefined) {
    throw new ContractError('ARGUMENT_INVALID', `${owner}: not a P-256 public key`);
  }
}
