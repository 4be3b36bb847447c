// SPDX-License-Identifier: Apache-2.0
import type { Json, Observation } from './scenario.js';

/** A field in which two networks' answers differ; `undefined` where one has none. */
export interface FieldDifference {
  readonly scenario: string;
  /** Path of the field, parts separated by dots. */
  readonly field: string;
  readonly recorded: Json | undefined;
  readonly seen: Json | undefined;
}

/** A difference that is known and stays. */
export interface KnownDifference {
  /** Name of the scenario; `*` stands for any text, here and in `field`. */
  readonly scenario: string;
  readonly field: string;
  /** Why the embedded network does not answer as Fabric does. */
  readonly reason: string;
}

/** The fields in which what was seen is not what was recorded. */
export function compareObservations(scenario: string, recorded: Observation, seen: Observation): FieldDifference[] {
  const [before, after] = [fieldsOf(recorded), fieldsOf(seen)];
  const fields = [...new Set([...before.keys(), ...after.keys()])].sort();
  return fields
    .map((field) => ({ scenario, field, recorded: before.get(field), seen: after.get(field) }))
    .filter((difference) => JSON.stringify(difference.recorded) !== JSON.stringify(difference.seen));
}

/** Whether a known difference explains a field. */
export function explains(known: KnownDifference, { scenario, field }: FieldDifference): boolean {
  return matches(known.scenario, scenario) && matches(known.field, field);
}

function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(text);
}

/** Values by path; lists are values, since their order and length matter. */
function fieldsOf(value: Json, path: readonly string[] = []): Map<string, Json> {
  const isBranch =
    value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 0;
  if (!isBranch) {
    return new Map([[path.join('.'), value]]);
  }
  return new Map(Object.entries(value).flatMap(([field, inner]) => [...fieldsOf(inner, [...path, field])]));
}
