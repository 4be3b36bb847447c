// SPDX-License-Identifier: Apache-2.0
export { caError, openCertificateAuthority, type CertificateAuthority, type RevocationReason } from './ca.js';
export { certifiedKey, isIssuedBy, notAfterMs, parseCertificate } from './certificates.js';
export {
  DEFAULT_POLICY,
  bootstrapConsortium,
  bootstrapOf,
  ensureBootstrapped,
  type BootstrapOptions,
  type Founding,
} from './consortium.js';
export { certificateRequest } from './csr.js';
export {
  assertAllAccepted,
  enrollVehicles,
  type EnrollVehiclesOptions,
  type EnrollmentOutcome,
  type EnrollmentProgress,
} from './enrollment.js';
export { recoverKeys, type RecoverKeysOptions } from './key-recovery.js';
export { rotateVehicles, type RotateVehiclesOptions, type RotationOutcome } from './key-rotation.js';
export { newPrivateKey, privateKeyPem, readPrivateKey } from './keys.js';
export { createMaker, openMaker, openRecoveryMaker, type Attested, type Maker, type RecoveryMaker } from './maker.js';
export {
  createOrganisationHome,
  staffOf,
  type OrganisationHomeOptions,
  type PublicOrganisation,
} from './organisation.js';
export {
  provisionCars,
  provisionedCars,
  requestStatement,
  type ProvisionedCar,
  type RequestType,
} from './provisioning.js';
export { ensureServerCertificate, type ServerCertificate } from './server-certificate.js';
export { CA_REGISTRAR, openRegistrar, type Registrar } from './registrar.js';
export {
  revokeVehicles,
  type OrganisationRevocation,
  type RevocationProgress,
  type RevocationResult,
  type RevokeVehiclesOptions,
} from './revocation.js';
export type { StoredIdentity } from './stored-identity.js';
export {
  initVehicles,
  installCertificates,
  issuedCertificate,
  pendingRequests,
  requestRecovery,
  vehicleRequest,
  vehiclesIn,
  type InitVehiclesOptions,
  type IssuedCertificate,
  type VehicleRequest,
} from './vehicles.js';
export { identityOf, openWallet, type IdentityWallet } from './wallet.js';
