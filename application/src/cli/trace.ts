// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import { addCommand, type Answer, type Runner } from './command.js';
import type { OpenedSession } from './homes.js';
import { asStaff, organisationOptions, type OrganisationChoice } from './organisation-option.js';

interface TraceOptions extends OrganisationChoice {
  readonly task?: string;
}

const VEHICLE = /^v-[A-Za-z0-9_-]{22}$/;
const MODEL = /^[0-9a-f]{64}$/;

/** `sev audit trace`; it belongs to the group of audit commands. */
export function addTrace(group: Command, run: Runner): void {
  addCommand<TraceOptions>(group, run, {
    usage: 'trace <vehicle|model|incident>',
    summary: 'follow a bad model back to those who made it, or a vehicle or an incident to all that it touched',
    examples: [
      'sev audit trace 9a3e… --task price-1',
      'sev audit trace v-AbCdEfGhIjKlMnOpQrStUv',
      'sev audit trace incident-1f0c9a7e4b21 --json',
    ],
    notes:
      'What is named tells what it is: a vehicle begins with v-, a model is its hash. Everything comes from the ledger, and from\n' +
      "the opened evidence that this organisation's home keeps.",
    options: (command) => {
      command.option('--task <id>', 'task of the model (default: the one that has it)');
      organisationOptions(command);
    },
    work: (_context, { task, ...choice }, [name = '']) =>
      asStaff({ ...choice, org: choice.org ?? 'regulator' }, (opened) => traced(opened, name, task)),
  });
}

async function traced({ session, home }: OpenedSession, name: string, taskId: string | undefined): Promise<Answer> {
  const { incidentTraceText, modelTraceText, vehicleTraceText } = await import('./trace-text.js');
  if (VEHICLE.test(name)) {
    const { traceVehicle } = await import('../auditor/trace/trace-vehicle.js');
    const trace = await traceVehicle(session, name);
    return { data: trace, text: vehicleTraceText(trace) };
  }
  if (MODEL.test(name)) {
    const { traceModel } = await import('../auditor/trace/trace-model.js');
    const trace = await traceModel(session, name, taskId);
    return { data: trace, text: modelTraceText(trace) };
  }
  const [{ traceIncident }, { readFindings }, { findingsHash }] = await Promise.all([
    import('../auditor/trace/trace-incident.js'),
    import('../incidents/findings-file.js'),
    import('../incidents/findings.js'),
  ]);
  const findings = await readFindings(home, name);
  const known = findings && { hash: findingsHash(findings), findings };
  const trace = await traceIncident(session, name, known);
  return { data: trace, text: incidentTraceText(trace) };
}
