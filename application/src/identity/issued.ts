// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { z } from 'zod';
import { inHome } from '../config/homes.js';
import { parseFile } from '../config/profile.js';
import { PRIVATE_FILE, makePrivateDirectory, readJson, writeJson } from '../store/files.js';
import { isIssuedBy, parseCertificate } from './certificates.js';
import { certifies, type Registrar } from './registrar.js';
import type { VehicleRequest } from './vehicles.js';

const issuedFile = z.object({ vehicleId: z.string(), certificate: z.string() });

/**
 * The certificate of a vehicle: the one issued before, where it is kept in the registrar's home and still good, else a
 * new one. It is kept before the ledger hears of it, so that an enrollment that broke off goes on with the same one.
 */
export async function certificateFor(registrar: Registrar, home: string, request: VehicleRequest): Promise<string> {
  const { vehicleId, publicKey, csr } = request;
  const directory = inHome.issued(home);
  const path = join(directory, `${vehicleId}.json`);
  const value = await readJson(path);
  if (value !== undefined) {
    const { certificate } = parseFile(issuedFile, path, value);
    const authentic = isIssuedBy(parseCertificate(certificate), registrar.organisation.identityCaCert);
    if (authentic && certifies(certificate, publicKey)) {
      return certificate;
    }
  }
  const certificate = await registrar.enrolWithCsr(vehicleId, 'vehicle', csr);
  await makePrivateDirectory(directory);
  await writeJson(path, { vehicleId, certificate }, { mode: PRIVATE_FILE });
  return certificate;
}
