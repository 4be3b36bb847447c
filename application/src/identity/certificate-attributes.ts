// SPDX-License-Identifier: Apache-2.0
import type { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { derValues, type DerValue } from './der.js';

/** DER of 1.2.3.4.5.6.7.8.1, the extension in which Fabric's CA certifies attributes. */
const ATTRIBUTES_OID = Buffer.from('2a03040506070801', 'hex');
/** Explicit tag [3] of a certificate's extensions (RFC 5280, section 4.1). */
const EXTENSIONS_TAG = 0xa3;
const OCTET_STRING = 0x04;

const attributes = z.object({ attrs: z.record(z.string(), z.string()) });

/**
 * The attributes that an organisation's CA put into a certificate, by name; none where it has no such extension or one
 * of another form. Whether the CA is to be trusted is for the caller to check.
 */
export function certificateAttributes(certificate: X509Certificate): Readonly<Record<string, string>> {
  try {
    const extension = extensionsOf(certificate).find(({ oid }) => oid?.equals(ATTRIBUTES_OID));
    const text = Buffer.from(extension?.value ?? []).toString('utf8');
    return attributes.parse(JSON.parse(text)).attrs;
  } catch {
    return {};
  }
}

/** Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { …, [3] SEQUENCE OF SEQUENCE { oid, critical?, OCTET STRING } }, … } */
function extensionsOf(certificate: X509Certificate): { oid: Buffer | undefined; value: Uint8Array | undefined }[] {
  const inside = (value: DerValue | undefined): DerValue[] => derValues(value?.content ?? new Uint8Array());
  const [whole] = derValues(certificate.raw);
  const [tbs] = inside(whole);
  const [list] = inside(inside(tbs).find(({ tag }) => tag === EXTENSIONS_TAG));
  return inside(list).map((extension) => {
    const [oid, ...others] = inside(extension);
    const value = others.find(({ tag }) => tag === OCTET_STRING)?.content;
    return { oid: oid === undefined ? undefined : Buffer.from(oid.content), value };
  });
}
