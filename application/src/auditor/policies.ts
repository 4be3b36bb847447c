// SPDX-License-Identifier: Apache-2.0
import { common, msp, peer } from '@hyperledger/fabric-protos';
import type { OrganisationUnit } from './channel-config.js';
import { MembershipError, type Member, type Membership } from './membership.js';

/** A rule over the identities that signed something. */
export interface PolicyRule {
  /** Names the policy in findings: its path in the configuration, or what it is a policy of. */
  readonly name: string;
  /** @param signers distinct identities whose signatures hold. */
  isSatisfiedBy(signers: readonly Member[]): boolean;
}

/** The policies of one version of the channel's configuration (Fabric, common/policies and common/cauthdsl). */
export interface Policies {
  /** @param path `/Channel/Application/Endorsement`. @returns undefined where there is no such policy. */
  find(path: string): PolicyRule | undefined;
  /** The policy that a chaincode or collection definition holds, by reference to the configuration or in itself. */
  application(encoded: Uint8Array, name: string): PolicyRule | undefined;
}

const { IMPLICIT_META, SIGNATURE } = common.Policy.PolicyType;
const RULE = common.ImplicitMetaPolicy.Rule;
const ROLE = msp.MSPRole.MSPRoleType;
const { ROLE: BY_ROLE, IDENTITY: BY_IDENTITY } = msp.MSPPrincipal.Classification;
const ROOT = 'Channel';

export function newPolicies(root: common.ConfigGroup, membership: Membership): Policies {
  const find = (path: string): PolicyRule | undefined => {
    const [empty, channel, ...steps] = path.split('/');
    const policyName = steps.pop();
    const group = empty === '' && channel === ROOT ? groupAt(root, steps) : undefined;
    return group === undefined || policyName === undefined ? undefined : ruleOf(group, policyName, path, membership);
  };
  return {
    find,
    application: (encoded, name) => {
      const policy = peer.ApplicationPolicy.deserializeBinary(encoded);
      const signature = policy.getSignaturePolicy();
      return signature === undefined
        ? find(policy.getChannelConfigPolicyReference())
        : signatureRule(signature, name, membership);
    },
  };
}

function groupAt(root: common.ConfigGroup, steps: readonly string[]): common.ConfigGroup | undefined {
  return steps.reduce<common.ConfigGroup | undefined>((group, step) => group?.getGroupsMap().get(step), root);
}

function ruleOf(
  group: common.ConfigGroup,
  policyName: string,
  path: string,
  membership: Membership,
): PolicyRule | undefined {
  const policy = group.getPoliciesMap().get(policyName)?.getPolicy();
  switch (policy?.getType()) {
    case SIGNATURE:
      return signatureRule(common.SignaturePolicyEnvelope.deserializeBinary(policy.getValue_asU8()), path, membership);
    case IMPLICIT_META:
      return metaRule(group, common.ImplicitMetaPolicy.deserializeBinary(policy.getValue_asU8()), path, membership);
    default:
      return undefined;
  }
}

/** As many of the groups below must have their own policy satisfied as the rule says; a group without it has not. */
function metaRule(
  group: common.ConfigGroup,
  meta: common.ImplicitMetaPolicy,
  path: string,
  membership: Membership,
): PolicyRule {
  const below: (PolicyRule | undefined)[] = [];
  group.getGroupsMap().forEach((member: common.ConfigGroup, name: string) => {
    const policyPath = `${path.slice(0, path.lastIndexOf('/'))}/${name}/${meta.getSubPolicy()}`;
    below.push(ruleOf(member, meta.getSubPolicy(), policyPath, membership));
  });
  const threshold = thresholdOf(meta, below.length);
  return {
    name: path,
    isSatisfiedBy: (signers) =>
      below.filter((rule) => rule !== undefined && rule.isSatisfiedBy(signers)).length >= threshold,
  };
}

function thresholdOf(meta: common.ImplicitMetaPolicy, groups: number): number {
  if (groups === 0) {
    return 0;
  }
  switch (meta.getRule()) {
    case RULE.ALL:
      return groups;
    case RULE.MAJORITY:
      return Math.floor(groups / 2) + 1;
    default:
      return 1;
  }
}

function signatureRule(envelope: common.SignaturePolicyEnvelope, name: string, membership: Membership): PolicyRule {
  const matches = envelope.getIdentitiesList().map((principal) => principalMatcher(principal, membership));
  const rule = envelope.getRule();
  return {
    name,
    isSatisfiedBy: (signers) => rule !== undefined && evaluate(rule, matches, signers, new Set()) !== undefined,
  };
}

type Matcher = (member: Member) => boolean;

/** @returns the signers used up, each of whom counts once; undefined where the rule is not satisfied. */
function evaluate(
  rule: common.SignaturePolicy,
  matches: readonly Matcher[],
  signers: readonly Member[],
  used: ReadonlySet<Member>,
): ReadonlySet<Member> | undefined {
  const gate = rule.getNOutOf();
  if (gate === undefined) {
    const matcher = matches[rule.getSignedBy()];
    const signer = signers.find((member) => !used.has(member) && matcher?.(member) === true);
    return signer === undefined ? undefined : new Set([...used, signer]);
  }
  let taken = used;
  let satisfied = 0;
  for (const part of gate.getRulesList()) {
    const after = evaluate(part, matches, signers, taken);
    if (after !== undefined) {
      taken = after;
      satisfied += 1;
    }
  }
  return satisfied >= gate.getN() ? taken : undefined;
}

const UNIT_OF_ROLE: ReadonlyMap<number, OrganisationUnit> = new Map([
  [ROLE.CLIENT, 'client'],
  [ROLE.PEER, 'peer'],
  [ROLE.ORDERER, 'orderer'],
]);

/** Roles and single identities; other kinds of principal match nobody. */
function principalMatcher(principal: msp.MSPPrincipal, membership: Membership): Matcher {
  const bytes = principal.getPrincipal_asU8();
  switch (principal.getPrincipalClassification()) {
    case BY_ROLE: {
      const role = msp.MSPRole.deserializeBinary(bytes);
      const kind = role.getRole();
      return (member) => member.mspId === role.getMspIdentifier() && hasRole(member, kind);
    }
    case BY_IDENTITY: {
      const wanted = memberOf(membership, bytes);
      return (member) => member.fingerprint === wanted?.fingerprint && member.mspId === wanted.mspId;
    }
    default:
      return () => false;
  }
}

function hasRole(member: Member, role: number): boolean {
  switch (role) {
    case ROLE.MEMBER:
      return true;
    case ROLE.ADMIN:
      return member.isAdmin;
    default:
      return UNIT_OF_ROLE.get(role) === member.unit;
  }
}

function memberOf(membership: Membership, identity: Uint8Array): Member | undefined {
  try {
    return membership.identify(identity);
  } catch (error) {
    if (error instanceof MembershipError) {
      return undefined;
    }
    throw error;
  }
}

/** One signature with what it should cover. */
export interface Signed {
  readonly identity: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** The distinct members among the signers whose signatures hold; the others count for nothing. */
export function validSigners(signatures: readonly Signed[], membership: Membership): Member[] {
  const found = new Map<string, Member>();
  for (const { identity, message, signature } of signatures) {
    const member = memberOf(membership, identity);
    if (member !== undefined && membership.verify(member, message, signature)) {
      found.set(`${member.mspId} ${member.fingerprint}`, member);
    }
  }
  return [...found.values()];
}
