// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, sign, verify, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { z } from 'zod';
import { writeFileAtomic } from '../durable.js';
import { NetworkError } from '../errors.js';
import { formatJson, JsonFileError, readJson } from '../supervisor/json.js';
import { mspFiles, type Member } from './layout.js';
import { publicPartOf, publicPartSchema, type PublicPart } from './public-part.js';

const schema = z.strictObject({
  kind: z.literal('sev-organisation'),
  part: publicPartSchema,
  /** Certificate of the organisation's administrator, who signed the part. */
  adminCert: z.string().startsWith('-----BEGIN CERTIFICATE-----'),
  /** ECDSA with SHA-256 over the part's canonical JSON, base64 of DER. */
  signature: z.base64(),
});

/**
 * An organisation's public part as it travels: signed by its administrator, whose certificate comes from the identity
 * root in it. So whoever compared that root's fingerprint with the organisation's people has compared everything.
 */
export type SignedPart = Readonly<z.infer<typeof schema>>;
export const signedPartSchema = schema;

/** JSON with sorted keys (RFC 8785 for what parts hold: texts, whole numbers, lists, objects). */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([one], [other]) => (one < other ? -1 : 1)))
      : item,
  );
}

const messageOf = (part: PublicPart): Buffer => Buffer.from(`sev-organisation\n${canonicalJson(part)}`);

/** SHA-256 of an identity root's DER: what people compare by telephone. */
export const fingerprintOf = ({ identityCaCert }: Pick<PublicPart, 'identityCaCert'>): string =>
  new X509Certificate(identityCaCert).fingerprint256;

/**
 * The public part of an organisation whose identities are enrolled, signed.
 * @param governance what governance on the ledger is to know of it; opaque here
 */
export async function signedPartOf(member: Member, governance: PublicPart['governance']): Promise<SignedPart> {
  const part = { ...(await publicPartOf(member)), ...(governance === undefined ? {} : { governance }) };
  const admin = mspFiles(member.layout.adminMsp);
  const key = createPrivateKey(await readFile(admin.key));
  return {
    kind: 'sev-organisation',
    part,
    adminCert: await readFile(admin.certificate, 'utf8'),
    signature: sign('sha256', messageOf(part), key).toString('base64'),
  };
}

function isIssuedBy(certificate: X509Certificate, root: X509Certificate): boolean {
  return certificate.checkIssued(root) && certificate.verify(root.publicKey);
}

const hasUnit = (certificate: X509Certificate, unit: string): boolean =>
  certificate.subject.split('\n').includes(`OU=${unit}`);

/** What is wrong with a part by itself. */
function problemOf({ part, adminCert, signature }: SignedPart): string | undefined {
  const root = new X509Certificate(part.identityCaCert);
  const tlsRoot = new X509Certificate(part.tlsCaCert);
  const admin = new X509Certificate(adminCert);
  if (!root.ca || !tlsRoot.ca) {
    return 'its roots are no CA certificates';
  }
  if (!isIssuedBy(admin, root) || !hasUnit(admin, 'admin')) {
    return "the signer's certificate is not one of an administrator from its identity root";
  }
  if (!verify('sha256', messageOf(part), admin.publicKey, Buffer.from(signature, 'base64'))) {
    return 'its signature does not hold: it was changed after its organisation had signed it';
  }
  if (part.orderer === undefined) {
    return undefined;
  }
  const identity = new X509Certificate(part.orderer.identityCert);
  const tls = new X509Certificate(part.orderer.tlsCert);
  if (!isIssuedBy(identity, root) || !hasUnit(identity, 'orderer')) {
    return "its orderer's certificate is not one of an orderer from its identity root";
  }
  const { host } = part.orderer;
  const names = isIP(host) === 0 ? tls.checkHost(host) : tls.checkIP(host);
  return isIssuedBy(tls, tlsRoot) && names !== undefined
    ? undefined
    : `its orderer's TLS certificate is not one for ${host} from its TLS root`;
}

/** @throws NetworkError PART_INVALID */
export function checkSignedPart(signed: SignedPart, where: string): void {
  let problem: string | undefined;
  try {
    problem = problemOf(signed);
  } catch (error) {
    throw new NetworkError('PART_INVALID', `${where}: a certificate in it cannot be read`, { cause: error });
  }
  if (problem !== undefined) {
    throw new NetworkError('PART_INVALID', `${where}: ${problem}; ask ${signed.part.name} for it again`);
  }
}

/** Reads a part and checks that it holds by itself. @throws NetworkError PART_INVALID */
export async function readSignedPart(file: string): Promise<SignedPart> {
  let signed: SignedPart | undefined;
  try {
    signed = await readJson(file, schema);
  } catch (error) {
    if (error instanceof JsonFileError) {
      throw new NetworkError('PART_INVALID', `${error.message}; it is no organisation's public part`, { cause: error });
    }
    throw error;
  }
  if (signed === undefined) {
    throw new NetworkError('PART_INVALID', `there is no file ${file}`);
  }
  checkSignedPart(signed, file);
  return signed;
}

export async function writeSignedPart(file: string, signed: SignedPart): Promise<void> {
  await writeFileAtomic(file, formatJson(signed));
}
