// SPDX-License-Identifier: Apache-2.0
import { ByteReader } from './bytes.js';
import { SALT_BYTES, commitComponent, commitmentRoot } from './commitment.js';
import { SecureError } from './errors.js';
import { SEED_BYTES, contextBytes } from './expand.js';
import { ringSize, type RingBits, type RingVector } from './ring.js';
import { componentValues, decryptFull, type CommittedComponent, type Holders, type SharedVector } from './sharing.js';

/** What one aggregator holds of a report, checked against the commitments. Secret. */
export interface HeldShare {
  readonly root: string;
  readonly leaves: readonly string[];
  /** The components that this aggregator holds, ascending. */
  readonly components: readonly CommittedComponent[];
}

/** How an aggregator checks a share. */
export interface ShareTerms {
  readonly context: string;
  /** The commitment root that the reporter signed. */
  readonly root: string;
  /** Index of the recipient. */
  readonly aggregator: number;
  readonly holders: Holders;
  /** d + m. */
  readonly length: number;
  /** Width of the ring; default 32. */
  readonly ringBits?: RingBits;
  /** Bytes of the store by SHA-256; rejects where they are not to be had. */
  readonly fetch: (hash: string) => Promise<Uint8Array>;
}

const VERSION = 1;
const HASH_BYTES = 32;
const KEY_BYTES = 32;

type Secret =
  | { readonly kind: 'seed'; readonly component: number; readonly salt: Uint8Array; readonly seed: Uint8Array }
  | {
      readonly kind: 'full';
      readonly component: number;
      readonly salt: Uint8Array;
      readonly key: Uint8Array;
      readonly ciphertextHash: string;
    };

/** Indices of the components that an aggregator holds, ascending. */
export function componentsHeldBy(aggregator: number, holders: Holders): readonly number[] {
  return holders.flatMap((group, component) => (group.includes(aggregator) ? [component] : []));
}

/**
 * What is sealed to one aggregator:
 *
 *   1 ‖ c ‖ c leaves of 32 bytes ‖ h ‖ h times (component ‖ salt ‖ seed), the last component (component ‖ salt ‖ key ‖
 *   SHA-256 of the ciphertext)
 *
 * with numbers as one byte, c components of which the recipient holds h, ascending.
 */
export function shareBytes(shared: SharedVector, aggregator: number, holders: Holders): Uint8Array {
  const held = componentsHeldBy(aggregator, holders);
  const last = shared.components.length - 1;
  return Buffer.concat([
    Uint8Array.of(VERSION, shared.leaves.length),
    ...shared.leaves.map(contextBytes),
    Uint8Array.of(held.length),
    ...shared.components
      .filter(({ component }) => held.includes(component))
      .flatMap(({ component, salt, content }) => [
        Uint8Array.of(component),
        salt,
        ...(component === last ? [shared.key, contextBytes(shared.ciphertextHash)] : [content]),
      ]),
  ]);
}

/**
 * Reads and checks what {@link shareBytes} made.
 *
 * @throws SecureError SHARE_MALFORMED, SHARE_MISMATCH, SHARE_INCOMPLETE
 */
export async function readShare(bytes: Uint8Array, terms: ShareTerms): Promise<HeldShare> {
  const { leaves, secrets } = parseShare(bytes, terms.holders.length);
  if (commitmentRoot(leaves) !== terms.root) {
    throw new SecureError('SHARE_MISMATCH', 'its commitments have another root than the reporter signed');
  }
  checkHeld(
    secrets.map(({ component }) => component),
    componentsHeldBy(terms.aggregator, terms.holders),
  );
  const components: CommittedComponent[] = [];
  for (const secret of secrets) {
    const { component, salt } = secret;
    const content = secret.kind === 'seed' ? secret.seed : await fetchFull(secret, terms);
    checkLeaf(leaves, terms.context, { component, salt, content });
    components.push({ component, salt, content });
  }
  return { root: terms.root, leaves, components };
}

/**
 * Checks a released component against the root that the vehicle signed, as an arbiter does.
 *
 * @throws SecureError SHARE_MISMATCH
 */
export function checkComponent(
  root: string,
  leaves: readonly string[],
  context: string,
  released: CommittedComponent,
): void {
  if (commitmentRoot(leaves) !== root) {
    throw new SecureError('SHARE_MISMATCH', 'the commitments have another root than the reporter signed');
  }
  checkLeaf(leaves, context, released);
}

/**
 * The values of a component that the share holds, not to be changed.
 *
 * @param length d + m.
 * @param bits width of the ring; default 32.
 * @throws SecureError SHARE_INCOMPLETE where it does not hold the component; RING_LENGTH
 */
export function componentOf(
  share: HeldShare,
  component: number,
  context: string,
  length: number,
  bits: RingBits = 32,
): RingVector {
  const held = share.components.find((one) => one.component === component);
  if (held === undefined) {
    throw new SecureError('SHARE_INCOMPLETE', `component ${String(component)} is not held here`);
  }
  return componentValues(held, share.leaves.length, context, length, bits);
}

/**
 * For the aggregator's own disk: 1 ‖ root ‖ c ‖ leaves ‖ h ‖ h times (component ‖ salt ‖ |content| as uint32 ‖ content). The
 * full component is in it, so the aggregator depends on no store once it has given its receipt. Secret.
 */
export function heldShareBytes(share: HeldShare): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(VERSION),
    contextBytes(share.root),
    Uint8Array.of(share.leaves.length),
    ...share.leaves.map(contextBytes),
    Uint8Array.of(share.components.length),
    ...share.components.flatMap(({ component, salt, content }) => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(content.length);
      return [Uint8Array.of(component), salt, size, content];
    }),
  ]);
}

/** Inverse of {@link heldShareBytes}; contents are views of the bytes. @throws SecureError SHARE_MALFORMED */
export function heldShareFromBytes(bytes: Uint8Array): HeldShare {
  const reader = new ByteReader(bytes);
  checkVersion(reader.byte());
  const root = reader.hex(HASH_BYTES);
  const leaves = readLeaves(reader);
  const components = Array.from({ length: reader.byte() }, () => {
    const component = reader.byte();
    const salt = reader.take(SALT_BYTES);
    return { component, salt, content: reader.take(reader.uint32()) };
  });
  reader.end();
  return { root, leaves, components };
}

function parseShare(bytes: Uint8Array, count: number): { leaves: readonly string[]; secrets: readonly Secret[] } {
  const reader = new ByteReader(bytes);
  checkVersion(reader.byte());
  const leaves = readLeaves(reader);
  if (leaves.length !== count) {
    throw new SecureError('SHARE_MALFORMED', `${String(leaves.length)} commitments, not ${String(count)}`);
  }
  const secrets = Array.from({ length: reader.byte() }, (): Secret => {
    const component = reader.byte();
    const salt = reader.take(SALT_BYTES);
    return component === count - 1
      ? { kind: 'full', component, salt, key: reader.take(KEY_BYTES), ciphertextHash: reader.hex(HASH_BYTES) }
      : { kind: 'seed', component, salt, seed: reader.take(SEED_BYTES) };
  });
  reader.end();
  return { leaves, secrets };
}

function readLeaves(reader: ByteReader): readonly string[] {
  return Array.from({ length: reader.byte() }, () => reader.hex(HASH_BYTES));
}

function checkVersion(version: number): void {
  if (version !== VERSION) {
    throw new SecureError('SHARE_MALFORMED', `version ${String(version)} is not known here`);
  }
}

/** The share must hold just what its recipient should: more would break the threshold, twice is no form of it. */
function checkHeld(held: readonly number[], expected: readonly number[]): void {
  if (held.some((component, i) => !expected.includes(component) || component <= (held[i - 1] ?? -1))) {
    throw new SecureError('SHARE_MALFORMED', `components [${held.join(', ')}] where [${expected.join(', ')}] belong`);
  }
  if (held.length < expected.length) {
    throw new SecureError('SHARE_INCOMPLETE', `components [${held.join(', ')}] of [${expected.join(', ')}] only`);
  }
}

function checkLeaf(leaves: readonly string[], context: string, { component, salt, content }: CommittedComponent): void {
  if (leaves[component] !== commitComponent(context, component, salt, content)) {
    throw new SecureError('SHARE_MISMATCH', `component ${String(component)} is not what was committed to`);
  }
}

async function fetchFull(secret: Extract<Secret, { kind: 'full' }>, terms: ShareTerms): Promise<Uint8Array> {
  let ciphertext: Uint8Array;
  try {
    ciphertext = await terms.fetch(secret.ciphertextHash);
  } catch (cause) {
    throw new SecureError('SHARE_INCOMPLETE', 'the full component is not to be had from the store', { cause });
  }
  return decryptFull(secret, ciphertext, terms.context, ringSize(terms.length, terms.ringBits ?? 32));
}
