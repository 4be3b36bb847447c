// SPDX-License-Identifier: Apache-2.0
import { common } from '@hyperledger/fabric-protos';
import type { ConfigTransaction } from './channel-config.js';
import type { Channel } from './channel.js';
import { validSigners } from './policies.js';

/** Why a new configuration does not follow from the one in force. */
export class ConfigUpdateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigUpdateError';
  }
}

type Kind = 'Group' | 'Value' | 'Policy';

/** One group, value or policy of a configuration, without what lies below it. */
interface Element {
  readonly kind: Kind;
  /** Names from `Channel` down to the group that holds it; its own name is the last. */
  readonly path: readonly string[];
  readonly version: number;
  readonly modPolicy: string;
  /** Content of a value or policy; names of a group's members. */
  readonly content: Buffer;
  /** Names of a group's members by kind. */
  readonly members: readonly (readonly [Kind, string])[];
}

type Elements = ReadonlyMap<string, Element>;

const ROOT = 'Channel';

/**
 * Checks a new configuration as orderers and peers do: its sequence follows; the update was made for this channel and
 * for the versions in force; each changed element's version grows by one and its modification policy is satisfied by
 * the update's signatures; and the new configuration is the old one with these changes and no others
 * (Fabric, common/configtx).
 *
 * @returns how many signatures the update carries.
 * @throws ConfigUpdateError
 */
export function checkConfigUpdate(inForce: Channel, next: ConfigTransaction, channelId: string): number {
  const wanted = inForce.config.sequence + 1;
  if (next.config.sequence !== wanted) {
    throw new ConfigUpdateError(`its sequence is ${String(next.config.sequence)}, ${String(wanted)} follows`);
  }
  const { update, signatures, updateBytes } = readUpdate(next.lastUpdate);
  if (update.getChannelId() !== channelId) {
    throw new ConfigUpdateError(`the update was made for channel ${update.getChannelId()}`);
  }
  const current = elementsOf(inForce.config.root);
  const reads = elementsOf(update.getReadSet());
  const writes = elementsOf(update.getWriteSet());
  checkReads(current, reads);
  const changes = new Map([...writes].filter(([name, element]) => reads.get(name)?.version !== element.version));
  if (changes.size === 0) {
    throw new ConfigUpdateError('the update changes nothing');
  }
  const signers = validSigners(
    signatures.map((signature) => ({
      identity: common.SignatureHeader.deserializeBinary(signature.getSignatureHeader_asU8()).getCreator_asU8(),
      message: Buffer.concat([signature.getSignatureHeader_asU8(), updateBytes]),
      signature: signature.getSignature_asU8(),
    })),
    inForce.membership,
  );
  for (const [name, element] of changes) {
    checkChange(current, name, element);
    const governing = current.get(name);
    if (governing !== undefined) {
      const policy = inForce.policies.find(policyPath(governing));
      if (policy?.isSatisfiedBy(signers) !== true) {
        const who = signers.length === 0 ? 'nobody' : signers.map(({ subject }) => subject).join('; ');
        throw new ConfigUpdateError(`${name} may be changed by ${policyPath(governing)}, it was signed by ${who}`);
      }
    }
  }
  checkResult(new Map([...current, ...changes]), writes, elementsOf(next.config.root));
  return signatures.length;
}

function readUpdate(envelope: common.Envelope | undefined): {
  update: common.ConfigUpdate;
  updateBytes: Uint8Array;
  signatures: readonly common.ConfigSignature[];
} {
  if (envelope === undefined) {
    throw new ConfigUpdateError('it does not hold the update that led to it');
  }
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const signed = common.ConfigUpdateEnvelope.deserializeBinary(payload.getData_asU8());
  const updateBytes = signed.getConfigUpdate_asU8();
  return {
    update: common.ConfigUpdate.deserializeBinary(updateBytes),
    updateBytes,
    signatures: signed.getSignaturesList(),
  };
}

function checkReads(current: Elements, reads: Elements): void {
  for (const [name, read] of reads) {
    const existing = current.get(name);
    if (existing?.version !== read.version) {
      const found = existing === undefined ? 'it is absent' : `it is at version ${String(existing.version)}`;
      throw new ConfigUpdateError(`the update was made for version ${String(read.version)} of ${name}, ${found}`);
    }
  }
}

function checkChange(current: Elements, name: string, element: Element): void {
  const existing = current.get(name);
  const wanted = existing === undefined ? 0 : existing.version + 1;
  if (element.version !== wanted) {
    throw new ConfigUpdateError(`the update sets ${name} to version ${String(element.version)}, not ${String(wanted)}`);
  }
  if (element.modPolicy === '') {
    throw new ConfigUpdateError(`the update leaves ${name} without a modification policy`);
  }
}

/** A relative modification policy is one of the group that holds the element, of a group's own where it is a group. */
function policyPath({ kind, path, modPolicy }: Element): string {
  if (modPolicy.startsWith('/')) {
    return modPolicy;
  }
  const group = kind === 'Group' ? path : path.slice(0, -1);
  return `/${group.join('/')}/${modPolicy}`;
}

/** The tree that grows from the root over the members that each group names must be the new configuration. */
function checkResult(all: Elements, writes: Elements, claimed: Elements): void {
  const reached = new Set<string>();
  const visit = (kind: Kind, path: readonly string[]): void => {
    const name = nameOf(kind, path);
    const element = all.get(name);
    if (element === undefined) {
      throw new ConfigUpdateError(`the update names ${name} and does not hold it`);
    }
    reached.add(name);
    if (!sameElement(element, claimed.get(name))) {
      throw new ConfigUpdateError(`${name} is not what the update makes it`);
    }
    for (const [memberKind, member] of element.members) {
      visit(memberKind, [...path, member]);
    }
  };
  visit('Group', [ROOT]);
  const added = [...claimed.keys()].find((name) => !reached.has(name));
  const lost = [...writes.keys()].find((name) => !reached.has(name));
  if (added !== undefined || lost !== undefined) {
    throw new ConfigUpdateError(`${added ?? lost ?? ''} does not follow from the update`);
  }
}

function sameElement(a: Element, b: Element | undefined): boolean {
  return (
    b !== undefined &&
    a.version === b.version &&
    a.modPolicy === b.modPolicy &&
    Buffer.compare(a.content, b.content) === 0
  );
}

function nameOf(kind: Kind, path: readonly string[]): string {
  return `[${kind}] /${path.join('/')}`;
}

/** All elements of a tree by name. */
function elementsOf(root: common.ConfigGroup | undefined): Elements {
  const found = new Map<string, Element>();
  if (root !== undefined) {
    collect(root, [ROOT], found);
  }
  return found;
}

function collect(group: common.ConfigGroup, path: readonly string[], found: Map<string, Element>): void {
  const members: (readonly [Kind, string])[] = [];
  group.getGroupsMap().forEach((member: common.ConfigGroup, name: string) => {
    members.push(['Group', name]);
    collect(member, [...path, name], found);
  });
  group.getValuesMap().forEach((value: common.ConfigValue, name: string) => {
    members.push(['Value', name]);
    add(found, 'Value', [...path, name], value, Buffer.from(value.getValue_asU8()));
  });
  group.getPoliciesMap().forEach((policy: common.ConfigPolicy, name: string) => {
    members.push(['Policy', name]);
    const content = policy.getPolicy()?.serializeBinary() ?? new Uint8Array();
    add(found, 'Policy', [...path, name], policy, Buffer.from(content));
  });
  const names = members.map(([kind, name]) => `${kind} ${name}`).sort();
  add(found, 'Group', path, group, Buffer.from(names.join('\n')), members);
}

function add(
  found: Map<string, Element>,
  kind: Kind,
  path: readonly string[],
  message: { getVersion(): number; getModPolicy(): string },
  content: Buffer,
  members: Element['members'] = [],
): void {
  const element = { kind, path, version: message.getVersion(), modPolicy: message.getModPolicy(), content, members };
  found.set(nameOf(kind, path), element);
}
