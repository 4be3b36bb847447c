// SPDX-License-Identifier: Apache-2.0
import { ATTRIBUTES_OID, x509 } from '../msp/x509.js';
import { CA_ERROR, CaError } from './errors.js';

/** An attribute of a registered identity; with `ecert` it stands in certificates unless the client asks for others. */
export interface Attribute {
  readonly name: string;
  readonly value: string;
  readonly ecert: boolean;
}

/** An attribute that a client wants in its certificate. */
export interface AttributeRequest {
  readonly name: string;
  readonly optional: boolean;
}

const BOOLEAN_ATTRIBUTES = new Set(['hf.Revoker', 'hf.IntermediateCA', 'hf.GenCRL', 'hf.AffiliationMgr']);
const LIST_ATTRIBUTES = new Set(['hf.Registrar.Roles', 'hf.Registrar.DelegateRoles', 'hf.Registrar.Attributes']);

/** What the registrar that comes with a CA may do: everything, within its organisation. */
export const BOOTSTRAP_ATTRIBUTES: readonly Attribute[] = [
  { name: 'hf.Registrar.Roles', value: '*', ecert: false },
  { name: 'hf.Registrar.DelegateRoles', value: '*', ecert: false },
  { name: 'hf.Registrar.Attributes', value: '*', ecert: false },
  { name: 'hf.Revoker', value: 'true', ecert: false },
  { name: 'hf.GenCRL', value: 'true', ecert: false },
];

function listOf(attributes: readonly Attribute[], name: string): string[] {
  const value = attributes.find((attribute) => attribute.name === name)?.value ?? '';
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function covers(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name.toLowerCase() === pattern.toLowerCase(),
  );
}

/** Whether an identity holds the right that a boolean attribute gives. */
export function isTrue(attributes: readonly Attribute[], name: string): boolean {
  return attributes.some((attribute) => attribute.name === name && attribute.value === 'true');
}

/** Whether an identity may register others at all. */
export function isRegistrar(attributes: readonly Attribute[]): boolean {
  return listOf(attributes, 'hf.Registrar.Roles').length > 0;
}

/** Whether a registrar may act on identities of a type (hf.Registrar.Roles). */
export function mayActOnType(registrar: readonly Attribute[], type: string): boolean {
  return covers(listOf(registrar, 'hf.Registrar.Roles'), type);
}

/**
 * Why a registrar may not give these attributes to an identity, or `undefined` if it may (Fabric CA: lib/attr): each
 * name is covered by its `hf.Registrar.Attributes`, nobody passes on a right that it does not hold, and the three
 * attributes that the CA itself derives are nobody's to choose.
 */
export function attributeRefusal(registrar: readonly Attribute[], wanted: readonly Attribute[]): string | undefined {
  const registrable = listOf(registrar, 'hf.Registrar.Attributes');
  for (const { name, value } of wanted) {
    if (!covers(registrable, name)) {
      return `Registrar is not allowed to register attribute '${name}'`;
    }
    if (BOOLEAN_ATTRIBUTES.has(name)) {
      if (!isTrue(registrar, name)) {
        return `Caller does not own attribute '${name}'`;
      }
    } else if (LIST_ATTRIBUTES.has(name)) {
      const owned = listOf(registrar, name);
      const beyond = listOf(wanted, name).find((part) => !covers(owned, part));
      if (beyond !== undefined) {
        return `'${beyond}' is not a member of the caller's '${name}'`;
      }
    } else if (name.startsWith('hf.')) {
      return `Cannot register fixed value attribute '${name}'='${value}'`;
    }
  }
  return undefined;
}

/** The attributes that every identity has, from its registration. */
export function derivedAttributes(id: string, type: string, affiliation: string): readonly Attribute[] {
  return [
    { name: 'hf.EnrollmentID', value: id, ecert: true },
    { name: 'hf.Type', value: type, ecert: true },
    { name: 'hf.Affiliation', value: affiliation, ecert: true },
  ];
}

/**
 * The certificate extension with the attributes a client asks for, or with those marked `ecert` when it asks for none.
 * @throws CaError when an attribute that is not optional is missing
 */
export function attributeExtension(
  owned: readonly Attribute[],
  requests: readonly AttributeRequest[] | undefined,
): x509.Extension | undefined {
  const wanted = requests ?? owned.filter(({ ecert }) => ecert).map(({ name }) => ({ name, optional: true }));
  const values = new Map(owned.map(({ name, value }) => [name, value]));
  const missing = wanted.filter(({ name, optional }) => !optional && !values.has(name)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new CaError(
      500,
      CA_ERROR.UNKNOWN,
      `Failed to find requested attributes: The following required attributes are missing: [${missing.join(' ')}]`,
    );
  }
  const entries = wanted.flatMap(({ name }) => {
    const value = values.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  if (requests === undefined && entries.length === 0) {
    return undefined;
  }
  const document = JSON.stringify({ attrs: Object.fromEntries(entries) });
  return new x509.Extension(ATTRIBUTES_OID, false, Buffer.from(document));
}
