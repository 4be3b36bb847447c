// SPDX-License-Identifier: Apache-2.0
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** A private key that was found in a file. */
export interface FoundKey {
  readonly file: string;
  /** The private scalar. */
  readonly secret: Buffer;
}

const PEM = /-----BEGIN (?:EC )?PRIVATE KEY-----[\s\S]+?-----END (?:EC )?PRIVATE KEY-----/g;
/** Characters that must agree by themselves: 96 bits of a random key. */
const NEEDLE_CHARACTERS = 16;

/** All files under a folder. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** The private keys in PEM that lie in files under a folder, those within JSON texts too. */
export async function privateKeysIn(folder: string): Promise<FoundKey[]> {
  const found: FoundKey[] = [];
  for (const file of await filesIn(folder)) {
    const text = (await readFile(file, 'latin1')).replaceAll('\\n', '\n').replaceAll('\\r', '');
    for (const [pem] of text.matchAll(PEM)) {
      found.push({ file, secret: secretOf(pem) });
    }
  }
  return found;
}

/** The private scalar of an elliptic-curve key. */
export function secretOf(pem: string): Buffer {
  const { d } = parsed(pem).export({ format: 'jwk' });
  return Buffer.from(d!, 'base64url');
}

function parsed(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    // fabric-ca-server writes one of its keys as SEC 1 under the label of PKCS #8.
    return createPrivateKey(pem.replaceAll(' PRIVATE KEY', ' EC PRIVATE KEY'));
  }
}

/**
 * Every form in which a secret may have been written: raw, hex, and base64 with any number of bytes before it, as within
 * a PEM body or a longer message.
 */
export function formsOf(secret: Buffer): string[] {
  const hex = secret.toString('hex');
  const forms = [secret.toString('latin1'), hex, hex.toUpperCase()];
  for (const before of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(before), secret]).toString('base64');
    // The first characters also hold bits of what comes before.
    const inner = text.slice(before === 0 ? 0 : 4, 4 + NEEDLE_CHARACTERS);
    forms.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return [...new Set(forms)];
}

/** Which of these secrets a content holds, in whatever form and with whatever line breaks. */
export function secretsWithin(content: Buffer, secrets: readonly Buffer[]): Buffer[] {
  const raw = content.toString('latin1');
  const joined = raw.replaceAll('\\n', '').replace(/\s+/g, '');
  return secrets.filter((secret) => formsOf(secret).some((form) => raw.includes(form) || joined.includes(form)));
}
