// SPDX-License-Identifier: Apache-2.0
import type { Express } from 'express';
import { candidatesRequest, measureRequest, type CorrectionMeasurer } from '../incidents/measurer.js';
import { parsedBody } from '../services/http-server.js';

/** `POST /corrections/candidates|measure`: what corrections are worth after an incident, by an organisation that validates. */
export function addCorrectionRoutes(app: Express, measurer: CorrectionMeasurer): void {
  app.post('/corrections/candidates', async (request, response) => {
    response.json({ losses: await measurer.candidates(parsedBody(candidatesRequest, request.body)) });
  });
  app.post('/corrections/measure', async (request, response) => {
    response.json(await measurer.measure(parsedBody(measureRequest, request.body)));
  });
}

/** HTTP status by code of a refusal. */
export const CORRECTION_STATUS: Readonly<Record<string, number>> = {
  INCIDENT_UNKNOWN: 404,
  INCIDENT_STATE: 409,
  CORRECTION_INVALID: 409,
  CORRECTION_NEEDLESS: 409,
  EVIDENCE_INCOMPLETE: 409,
  CANDIDATE_POSSIBLE: 409,
};
