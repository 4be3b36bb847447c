// SPDX-License-Identifier: Apache-2.0
import { common, msp } from '@hyperledger/fabric-protos';
import type { Identity, NodeOu } from './types.js';

/** Whose signature is asked for: a role of an organisation; `member` is any of its roles. */
export interface Principal {
  readonly mspId: string;
  readonly role: NodeOu | 'member';
}

/** A signature policy: one signature, or so many of several rules. */
export type PolicyRule = Principal | { readonly n: number; readonly rules: readonly PolicyRule[] };

type Signer = Pick<Identity, 'mspId' | 'ou'>;

const TOKEN = /\s*(?:(AND|OR|OutOf|and|or|outof|And|Or|OUTOF)\s*\(|'([^']*)'|"([^"]*)"|(\d+)|([,)]))\s*/y;
const PRINCIPAL = /^([A-Za-z0-9.-]+)\.(admin|member|client|peer|orderer)$/;

/** Signatures of so many of these organisations' peers. */
export function peersOf(mspIds: readonly string[], n: number): PolicyRule {
  return { n, rules: mspIds.map((mspId) => ({ mspId, role: 'peer' })) };
}

/** Reads a policy as Fabric's tools write it, e.g. `OR('AMSP.member', AND('BMSP.peer', 'CMSP.peer'))`. @throws Error */
export function parsePolicy(text: string): PolicyRule {
  let position = 0;
  const next = (): RegExpExecArray => {
    TOKEN.lastIndex = position;
    const token = TOKEN.exec(text);
    if (token === null) {
      throw new Error(`invalid policy string '${text}'`);
    }
    position = TOKEN.lastIndex;
    return token;
  };
  const gate = (name: string): PolicyRule => {
    const counts = /^outof$/i.test(name);
    const given = counts ? Number(next()[4]) : 0;
    let separator = counts ? next()[5] : ',';
    const rules: PolicyRule[] = [];
    while (separator === ',') {
      const [, inner, single, double] = next();
      rules.push(inner === undefined ? principal(single ?? double ?? '') : gate(inner));
      separator = next()[5];
    }
    const n = counts ? given : /^or$/i.test(name) ? 1 : rules.length;
    if (separator !== ')' || !(n >= 0 && n <= rules.length + 1)) {
      throw new Error(`invalid t-out-of-n predicate, t ${String(n)}, n ${String(rules.length)}`);
    }
    return { n, rules };
  };
  const [, outermost] = next();
  const rule = gate(outermost ?? '');
  if (outermost === undefined || position !== text.length) {
    throw new Error(`invalid policy string '${text}'`);
  }
  return rule;
}

function principal(text: string): Principal {
  const [, mspId, role] = PRINCIPAL.exec(text) ?? [];
  if (mspId === undefined || role === undefined) {
    throw new Error(`unrecognized token '${text}' in policy string`);
  }
  return { mspId, role: role as Principal['role'] };
}

const ROLES: Readonly<Record<number, Principal['role']>> = {
  [msp.MSPRole.MSPRoleType.MEMBER]: 'member',
  [msp.MSPRole.MSPRoleType.ADMIN]: 'admin',
  [msp.MSPRole.MSPRoleType.CLIENT]: 'client',
  [msp.MSPRole.MSPRoleType.PEER]: 'peer',
  [msp.MSPRole.MSPRoleType.ORDERER]: 'orderer',
};

/** Reads a serialised `common.SignaturePolicyEnvelope` whose principals are roles. @throws Error */
export function decodePolicy(bytes: Uint8Array): PolicyRule {
  const envelope = common.SignaturePolicyEnvelope.deserializeBinary(bytes);
  const principals = envelope.getIdentitiesList().map((identity): Principal => {
    const { mspIdentifier, role } = msp.MSPRole.deserializeBinary(identity.getPrincipal_asU8()).toObject();
    const name = ROLES[role];
    if (identity.getPrincipalClassification() !== msp.MSPPrincipal.Classification.ROLE || name === undefined) {
      throw new Error('only roles are supported as principals of a signature policy');
    }
    return { mspId: mspIdentifier, role: name };
  });
  const read = (rule: common.SignaturePolicy | undefined): PolicyRule => {
    const gate = rule?.getNOutOf();
    const signer = principals[rule?.getSignedBy() ?? -1];
    if (gate !== undefined) {
      return { n: gate.getN(), rules: gate.getRulesList().map(read) };
    }
    if (signer === undefined) {
      throw new Error('identity index out of range');
    }
    return signer;
  };
  return read(envelope.getRule());
}

/** Everyone a policy names. */
export function principalsOf(rule: PolicyRule): readonly Principal[] {
  return 'rules' in rule ? rule.rules.flatMap(principalsOf) : [rule];
}

/** Whether signers satisfy a policy; each signature counts once, where it fits first (Fabric `cauthdsl`). */
export function satisfies(rule: PolicyRule, signers: readonly Signer[]): boolean {
  return take(rule, new Set(signers)) !== undefined;
}

/** The signers left over after a rule took those that it needs; undefined where they do not satisfy it. */
function take(rule: PolicyRule, signers: ReadonlySet<Signer>): ReadonlySet<Signer> | undefined {
  if (!('rules' in rule)) {
    const found = [...signers].find(({ mspId, ou }) => mspId === rule.mspId && ['member', ou].includes(rule.role));
    return found && new Set([...signers].filter((signer) => signer !== found));
  }
  let left = signers;
  let satisfied = 0;
  for (const inner of rule.rules) {
    const rest = take(inner, left);
    if (rest !== undefined) {
      satisfied += 1;
      left = rest;
    }
  }
  return satisfied >= rule.n ? left : undefined;
}
