// SPDX-License-Identifier: Apache-2.0

/** The error codes of Fabric CA's REST API that this CA gives (fabric-ca, lib/caerrors). */
export const CA_ERROR = {
  UNKNOWN: 0,
  METHOD_NOT_ALLOWED: 1,
  NO_AUTHORIZATION_HEADER: 2,
  EMPTY_BODY: 4,
  BAD_BODY: 5,
  REVOKED_CERTIFICATE_NOT_FOUND: 8,
  CERTIFICATE_WRONG_OWNER: 9,
  REVOKE_IDENTITY_NOT_FOUND: 10,
  MISSING_REVOKE_ARGUMENTS: 15,
  CA_NOT_FOUND: 19,
  AUTHENTICATION_FAILURE: 20,
  BAD_CSR: 31,
  INVALID_REVOKED_AFTER: 36,
  INVALID_EXPIRE_AFTER: 37,
  IDENTITY_NOT_FOUND: 63,
  CERTIFICATE_ALREADY_REVOKED: 66,
  REMOVE_IDENTITY: 56,
  AUTHORIZATION_FAILURE: 71,
  PASSWORD_ATTEMPTS: 73,
  IDENTITY_ALREADY_REGISTERED: 74,
  COMMON_NAME_MISMATCH: 77,
  CSR_INVALID: 80,
  INVALID_MAX_ENROLLMENTS: 82,
} as const;

/** A refusal as the REST API gives it; `detail` is for the server's log only. */
export class CaError extends Error {
  readonly status: number;
  readonly code: number;
  readonly detail: string;

  constructor(status: number, code: number, message: string, detail = message) {
    super(message);
    this.name = 'CaError';
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/** The caller is not who it says: the client learns no more than that. */
export function authenticationFailure(detail: string): CaError {
  return new CaError(401, CA_ERROR.AUTHENTICATION_FAILURE, 'Authentication failure', detail);
}

/** The caller may not do this: the client learns no more than that. */
export function authorizationFailure(detail: string): CaError {
  return new CaError(403, CA_ERROR.AUTHORIZATION_FAILURE, 'Authorization failure', detail);
}
