// SPDX-License-Identifier: Apache-2.0
import {
  ContractError,
  majorityOf,
  parsePublicKey,
  type Admission,
  type Bootstrap,
  type Change,
  type MakerKey,
  type Member,
  type Organisation,
} from '../api';

/** Checks what a schema cannot: that the consortium can act and that no organisation could vote twice. */
export function checkBootstrap(content: Bootstrap): void {
  checkOrganisations(content.organisations);
  requireUnique('makers', 'makerKeyId', content.makers);
  content.makers.forEach((maker) => {
    checkMaker(maker, content.organisations, content.makers);
  });
}

/** @throws ContractError ACCESS_DENIED unless the caller operates one of the organisations that are to be members. */
export function checkBootstrapCaller(content: Bootstrap, mspId: string): void {
  const organisation = content.organisations.find((candidate) => candidate.mspId === mspId);
  if (organisation?.roles.includes('operator') !== true) {
    throw new ContractError('ACCESS_DENIED', `${mspId} is not among the organisations with the role operator`);
  }
}

/**
 * The member that a new organisation becomes.
 *
 * @param admission - the transaction that admits it.
 * @throws ContractError ORGANISATION_CONFLICT; ARGUMENT_INVALID where the consortium with it could not act.
 */
export function admittedMember(members: readonly Member[], organisation: Organisation, admission: Admission): Member {
  if (members.some(({ mspId }) => mspId === organisation.mspId)) {
    throw new ContractError('ORGANISATION_CONFLICT', `${organisation.mspId} is a member; propose put-organisation`);
  }
  checkOrganisations([...members, organisation]);
  return { ...organisation, admission };
}

/**
 * A member with other roles, name or signing key; its membership goes on.
 *
 * @throws ContractError ORGANISATION_UNKNOWN; ARGUMENT_INVALID where the consortium with it could not act.
 */
export function changedMember(members: readonly Member[], organisation: Organisation): Member {
  const { admission } = requireMember(members, organisation.mspId);
  checkOrganisations([...members.filter(({ mspId }) => mspId !== organisation.mspId), organisation]);
  return { ...organisation, admission };
}

/**
 * Checks that a member may leave: the others can act without it. What it has under way does not hold it, or it could stay
 * for ever: its rounds go on, or end, by the others' statements, and a proposal that it made is theirs to decide.
 *
 * @throws ContractError ORGANISATION_UNKNOWN; ARGUMENT_INVALID where nobody would be left to decide.
 */
export function checkRemoval(members: readonly Member[], mspId: string): void {
  requireMember(members, mspId);
  checkOrganisations(members.filter((member) => member.mspId !== mspId));
}

function requireMember(members: readonly Member[], mspId: string): Member {
  const member = members.find((candidate) => candidate.mspId === mspId);
  if (member === undefined) {
    throw new ContractError('ORGANISATION_UNKNOWN', mspId);
  }
  return member;
}

/**
 * Checks a maker's key. It stays with its organisation: tags are kept there, so under another one the maker's cars could
 * all be enrolled once more.
 *
 * @param accredited - makers' keys that are, or are to be, accredited.
 * @throws ContractError ORGANISATION_UNKNOWN, ARGUMENT_INVALID, MAKER_CONFLICT
 */
export function checkMaker(maker: MakerKey, members: readonly Organisation[], accredited: readonly MakerKey[]): void {
  if (!members.some(({ mspId }) => mspId === maker.mspId)) {
    throw new ContractError('ORGANISATION_UNKNOWN', `${maker.mspId} of maker key ${maker.makerKeyId}`);
  }
  requireKey(`maker ${maker.makerKeyId}`, maker.publicKey);
  const elsewhere = accredited.find(
    ({ makerKeyId, mspId, publicKey }) =>
      mspId !== maker.mspId && (makerKeyId === maker.makerKeyId || publicKey === maker.publicKey),
  );
  if (elsewhere !== undefined) {
    throw new ContractError('MAKER_CONFLICT', `${elsewhere.makerKeyId} is a key of ${elsewhere.mspId}`);
  }
}

/** Checks of a proposed change that hold whatever the ledger's state. */
export function checkChange(change: Change): void {
  if (change.kind === 'admit-organisation' || change.kind === 'put-organisation') {
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
