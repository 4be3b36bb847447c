// SPDX-License-Identifier: Apache-2.0
import { INCIDENT_PROJECTIONS } from '@sev/chaincode/api';
import {
  addTo,
  checkComponent,
  componentValues,
  ringFromBytes,
  ringZeros,
  SecureError,
  toSigned,
  type CommittedComponent,
  type RingBits,
} from '@sev/fl';
import type { IncidentDisclosure } from '../aggregator/aggregator-client.js';
import { EXIT, SevError } from '../errors.js';

/** What one aggregator opened of a disputed update. */
export interface Answer<K extends IncidentDisclosure['kind'] = IncidentDisclosure['kind']> {
  readonly mspId: string;
  readonly opened: Extract<IncidentDisclosure, { kind: K }>;
}

/** Projections of one update, and what speaks for them. */
export interface OpenedProjections {
  /** ⟨u, v_k⟩ in units of 2^−f. */
  readonly values: Int32Array;
  /** Components that only one aggregator answered for: nothing contradicts it, and nothing bears it out. */
  readonly alone: readonly number[];
}

/** How an update's opened components are put together. */
export interface VectorTerms {
  /** Commitment root in the vehicle's envelope, as the ledger holds it. */
  readonly root: string;
  /** Context of the report; see `reportContext`. */
  readonly context: string;
  /** Components of the sharing. */
  readonly components: number;
  /** Values of a report: parameters, then metrics. */
  readonly length: number;
  readonly bits: RingBits;
}

/** An opened update; the commitments vouch for it, whoever gave the components. */
export interface OpenedVector {
  /** The quantised update, then its metrics; two's complement. */
  readonly values: Int32Array;
  /** Aggregators that gave something else than was committed to, sorted. */
  readonly refuted: readonly string[];
}

/**
 * The further projections of a disputed update: for each component what its holders say, added up.
 *
 * @param seed that every answer has to be for.
 * @param components of the sharing.
 * @throws SevError EVIDENCE_DISAGREES naming two who contradict each other, EVIDENCE_INCOMPLETE where nobody answered for a
 *   component.
 */
export function agreedProjections(
  answers: readonly Answer<'projections'>[],
  seed: string,
  components: number,
): OpenedProjections {
  const sum = ringZeros(INCIDENT_PROJECTIONS, 32);
  const alone: number[] = [];
  for (let component = 0; component < components; component++) {
    const said = answers.flatMap(({ mspId, opened }) => {
      const numbers = opened.numbers[String(component)];
      return opened.seed !== seed || numbers === undefined ? [] : [{ mspId, numbers }];
    });
    const [first, ...others] = said;
    if (first === undefined) {
      throw incomplete(component);
    }
    const other = others.find(({ numbers }) => numbers !== first.numbers);
    if (other !== undefined) {
      throw new SevError(
        'EVIDENCE_DISAGREES',
        `${first.mspId} and ${other.mspId} opened different projections of component ${String(component)}`,
        {
          hint: 'Vote on `vectors`: what is opened then is checked against the commitments, and shows which of them is wrong.',
          exitCode: EXIT.integrity,
        },
      );
    }
    if (others.length === 0) {
      alone.push(component);
    }
    addTo(sum, ringFromBytes(Buffer.from(first.numbers, 'base64'), INCIDENT_PROJECTIONS));
  }
  return { values: toSigned(sum), alone };
}

/**
 * The disputed update itself: of each component the first that fits the commitments which the vehicle signed.
 *
 * @throws SevError EVIDENCE_INCOMPLETE where nobody gave a component as it was committed to.
 */
export function committedVector(answers: readonly Answer<'vectors'>[], terms: VectorTerms): OpenedVector {
  const sum = ringZeros(terms.length, terms.bits);
  const refuted = new Set<string>();
  for (let component = 0; component < terms.components; component++) {
    let found: CommittedComponent | undefined;
    for (const { mspId, opened } of answers) {
      const given = givenComponent(opened, component);
      if (given === undefined) {
        continue;
      }
      if (isCommitted(terms, opened.leaves, given)) {
        found ??= given;
      } else {
        refuted.add(mspId);
      }
    }
    if (found === undefined) {
      throw incomplete(component);
    }
    addTo(sum, componentValues(found, terms.components, terms.context, terms.length, terms.bits));
  }
  return { values: toSigned(sum), refuted: [...refuted].sort() };
}

function givenComponent(
  { components }: Answer<'vectors'>['opened'],
  component: number,
): CommittedComponent | undefined {
  const given = components.find((one) => one.component === component);
  return given && { component, salt: Buffer.from(given.salt, 'hex'), content: Buffer.from(given.content, 'base64') };
}

function isCommitted({ root, context }: VectorTerms, leaves: readonly string[], given: CommittedComponent): boolean {
  try {
    checkComponent(root, leaves, context, given);
    return true;
  } catch (error) {
    if (error instanceof SecureError) {
      return false;
    }
    throw error;
  }
}

function incomplete(component: number): SevError {
  return new SevError('EVIDENCE_INCOMPLETE', `no aggregator opened component ${String(component)} as it should be`, {
    hint: 'Start the aggregators that hold it (--aggregator names where they answer), and run the command again.',
    exitCode: EXIT.unreachable,
  });
}
