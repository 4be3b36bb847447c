// SPDX-License-Identifier: Apache-2.0
export { homeOf, inHome } from './homes.js';
export {
  networkHome,
  organisationNamed,
  parseFile,
  readConnectionProfile,
  readRegistrar,
  type ConnectionProfile,
  type OrganisationProfile,
  type RegistrarCredentials,
} from './profile.js';
