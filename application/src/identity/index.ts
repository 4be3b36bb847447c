// SPDX-License-Identifier: Apache-2.0
export { caError, openCertificateAuthority, type CertificateAuthority } from './ca.js';
export { certifiedKey, isIssuedBy, notAfterMs, parseCertificate } from './certificates.js';
export { DEFAULT_POLICY, bootstrapConsortium, type BootstrapOptions } from './consortium.js';
export {
  assertAllAccepted,
  enrollVehicles,
  type EnrollVehiclesOptions,
  type EnrollmentOutcome,
  type EnrollmentProgress,
} from './enrollment.js';
export { newPrivateKey, privateKeyPem, readPrivateKey } from './keys.js';
export { createMaker, openMaker, type Attested, type Maker } from './maker.js';
export {
  createOrganisationHome,
  staffOf,
  type OrganisationHomeOptions,
  type PublicOrganisation,
} from './organisation.js';
export { provisionCars, provisionedCars, type ProvisionedCar } from './provisioning.js';
export { CA_REGISTRAR, openRegistrar, type Registrar } from './registrar.js';
export type { StoredIdentity } from './stored-identity.js';
export {
  initVehicles,
  installCertificates,
  issuedCertificate,
  pendingRequests,
  vehicleRequest,
  vehiclesIn,
  type InitVehiclesOptions,
  type IssuedCertificate,
  type VehicleRequest,
} from './vehicles.js';
export { identityOf, openWallet, type IdentityWallet } from './wallet.js';
