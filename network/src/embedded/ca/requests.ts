// SPDX-License-Identifier: Apache-2.0
import { z } from 'zod';
import { CA_ERROR, CaError } from './errors.js';

// Clients send null, the empty string or nothing for "not given"; all three mean the same to Fabric CA.
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

/** The subject's common name; 64 characters is X.520's upper bound. No colon: Basic authentication ends the id at one. */
const enrollmentId = z
  .string()
  .regex(/^[A-Za-z0-9._@+=/-]{1,64}$/, 'is no enrollment id (1-64 of A-Z a-z 0-9 . _ @ + = / -)');
const type = text.pipe(z.string().regex(/^[A-Za-z0-9_-]{0,64}$/, 'is no identity type'));
const attributes = z
  .array(z.object({ name: z.string().min(1), value: z.string().default(''), ecert: z.boolean().nullish() }))
  .nullish()
  .transform((list) => (list ?? []).map(({ name, value, ecert }) => ({ name, value, ecert: ecert ?? false })));
const date = z
  .string()
  .nullish()
  .transform((value) => (value ? Date.parse(value) : undefined))
  .refine((ms) => ms === undefined || !Number.isNaN(ms), 'is no time');

export const enrollmentRequest = z.object({
  certificate_request: z.string(),
  profile: text,
  attr_reqs: z
    .array(z.object({ name: z.string().min(1), optional: z.boolean().default(false) }))
    .nullish()
    .transform((list) => list ?? undefined),
});
export type EnrollmentRequest = z.infer<typeof enrollmentRequest>;

export const registrationRequest = z.object({
  id: enrollmentId,
  type,
  secret: text,
  max_enrollments: z.int().nullish(),
  affiliation: text,
  attrs: attributes,
});
export type RegistrationRequest = z.infer<typeof registrationRequest>;

export const modificationRequest = registrationRequest.omit({ id: true });
export type ModificationRequest = z.infer<typeof modificationRequest>;

export const revocationRequest = z.object({
  id: text,
  aki: text,
  serial: text,
  reason: text,
  gencrl: z.boolean().nullish(),
});
export type RevocationRequest = z.infer<typeof revocationRequest>;

export const crlRequest = z.object({
  revokedAfter: date,
  revokedBefore: date,
  expireAfter: date,
  expireBefore: date,
});
export type CrlRequest = z.infer<typeof crlRequest>;

/** The CA a request is for; all requests may name it. */
export const namedCa = z.object({ caname: text });

/** Reads a request body. @throws CaError 400 naming the field */
export function parseBody<T>(schema: z.ZodType<T>, body: Uint8Array): T {
  if (body.length === 0) {
    throw new CaError(400, CA_ERROR.EMPTY_BODY, 'Empty request body');
  }
  let document: unknown;
  try {
    document = JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw new CaError(400, CA_ERROR.BAD_BODY, 'Request body is not JSON');
  }
  const result = schema.safeParse(document);
  if (!result.success) {
    const issue = result.error.issues[0];
    const where = issue?.path.join('.') ?? '';
    throw new CaError(400, CA_ERROR.BAD_BODY, `Invalid request body: ${where} ${issue?.message ?? ''}`);
  }
  return result.data;
}
