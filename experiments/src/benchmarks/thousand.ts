// SPDX-License-Identifier: Apache-2.0
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inHome, openRegistrar, organisationNamed, readConnectionProfile, type Report } from '@sev/application';
import { median, rounded, type Benchmark, type BenchmarkContext, type Figure } from '../figure.js';
import { watchProcesses, type ProcessUse } from '../process-watch.js';
import { lower } from './native.js';

const VEHICLES = 1_000;
const FEW = 100;
const ROUNDS = 5;
/** Certificates in the registrar's hands when the enrolment is killed: once early, once late. */
const KILLED_AT = [250, 750];
const POLL_MS = 50;
const REGISTRAR_ORG = 'maker';

/** A thousand enrolments that are killed and resumed, and a fleet of a thousand: the memory of all programs, CPU a vehicle. */
export const thousandVehicles: Benchmark = {
  name: 'thousand',
  run: async (context) => {
    const few = await rounds(context, FEW);
    const enrolled = await interruptedEnrolment(context);
    const many = await rounds(context, VEHICLES);
    const cpu = { few: cpuEach(few), many: cpuEach(many) };
    const largest = Object.entries(many.use.memoryMb)
      .sort(([, a], [, b]) => b - a)
      .map(([program, size]) => `${program} ${size.toFixed(0)}`);
    return [
      ...enrolled,
      lower('thousand-memory', many.use.peakMemoryMb, 'MB', 1_500, largest.join(', ')),
      lower('hundred-memory', few.use.peakMemoryMb, 'MB', null, 'the same of 100 vehicles'),
      lower('thousand-cpu', cpu.many, 'ms', null, 'a vehicle of a cohort and round, all programs'),
      lower('hundred-cpu', cpu.few, 'ms', null, 'the same of 100 vehicles'),
      lower('thousand-cpu-growth', rounded(cpu.many / cpu.few, 2), 'ratio', 1, 'CPU a vehicle, 1,000 vehicles to 100'),
      lower('thousand-round-median', median(many.report.rounds.map(({ ms }) => ms.total)), 'ms', null, 'mode secure'),
      lower('thousand-left-out', lateIn(many.report), 'vehicles', 0, 'too late for a round: a busy machine'),
      lower('thousand-quarantined', quarantinedIn(many.report), 'vehicles', VEHICLES / 100, 'none of them hostile'),
    ];
  },
};

async function rounds(
  { sev, folder }: BenchmarkContext,
  vehicles: number,
): Promise<{ report: Report; use: ProcessUse }> {
  const args = ['round', 'run', '--vehicles', vehicles.toString(), '--rounds', ROUNDS.toString()];
  const { result, use } = await watchProcesses(folder, 'coordinator run', () => sev(args));
  return { report: result as Report, use };
}

/** Processor time over the updates that went into models: what a vehicle that came too late cost counts for the others. */
function cpuEach({ report, use }: { readonly report: Report; readonly use: ProcessUse }): number {
  return use.cpuMs / report.rounds.reduce((sum, { cohort }) => sum + cohort, 0);
}

/** Most vehicles that were missing from a round, without those in quarantine. */
function lateIn({ rounds: run }: Report): number {
  let quarantined = 0;
  return Math.max(
    ...run.map(({ cohort, judged }) => {
      const late = VEHICLES - quarantined - cohort;
      quarantined += judged?.quarantined.length ?? 0;
      return late;
    }),
  );
}

function quarantinedIn({ rounds: run }: Report): number {
  return run.reduce((sum, { judged }) => sum + (judged?.quarantined.length ?? 0), 0);
}

/** Kills the enrolment part-way, twice, lets it end, and compares what CA, ledger and fleet hold. */
async function interruptedEnrolment(context: BenchmarkContext): Promise<Figure[]> {
  const enrol = ['vehicle', 'enroll', '--count', VEHICLES.toString()];
  const before = await identities(context);
  const started = performance.now();
  for (const certificates of KILLED_AT) {
    const killed = new AbortController();
    const over = new AbortController();
    const running = context
      .sev(enrol, killed.signal)
      .catch((error: unknown) => {
        if (!killed.signal.aborted) {
          throw error;
        }
      })
      .finally(() => {
        over.abort();
      });
    await issuedAtLeast(context, certificates, over.signal);
    killed.abort();
    await running;
  }
  const fleet = (await context.sev(enrol)) as { readonly vehicles: readonly string[] };
  const seconds = (performance.now() - started) / 1000;
  const after = await identities(context);
  const enrolledIds = new Set(fleet.vehicles);
  const failed = fleet.vehicles.filter((id) => !after.ledger.includes(id) || !after.ca.includes(id)).length;
  const extra = (list: readonly string[]): number => list.length - new Set(list).size + strangers(list, enrolledIds);
  const note = `kill -9 at ${KILLED_AT.join(' and ')} certificates of ${VEHICLES.toString()}, then resumed`;
  const duplicates = extra(after.ledger) + extra(after.ca.filter((id) => !before.staff.has(id)));
  return [
    lower('enrol-interrupted', seconds, 's', null, note),
    lower('enrol-interrupted-failed', VEHICLES - enrolledIds.size + failed, 'vehicles', 0, 'at the CA or the ledger'),
    lower('enrol-interrupted-duplicates', duplicates, 'identities', 0, 'more than the fleet has vehicles, both places'),
  ];
}

function strangers(ids: readonly string[], fleet: ReadonlySet<string>): number {
  return ids.filter((id) => !fleet.has(id)).length;
}

interface Identities {
  readonly ledger: readonly string[];
  readonly ca: readonly string[];
  /** Identities at the CA that are no vehicles. */
  readonly staff: ReadonlySet<string>;
}

async function identities({ networkHome, homes, sev }: BenchmarkContext): Promise<Identities> {
  const profile = await readConnectionProfile(networkHome);
  const never = () => Promise.reject(new Error('the registrar is enrolled already'));
  const organisation = organisationNamed(profile, REGISTRAR_ORG);
  const registrar = await openRegistrar(organisation, join(homes, REGISTRAR_ORG), never);
  const ca = await registrar.identities();
  const vehicles = (await sev(['vehicle', 'list'])) as readonly { readonly vehicleId: string }[];
  const ledger = vehicles.map(({ vehicleId }) => vehicleId);
  return { ledger, ca, staff: new Set(ca.filter((id) => !ledger.includes(id))) };
}

/** Waits until the registrar holds so many certificates, or the enrolment is over. */
async function issuedAtLeast({ homes }: BenchmarkContext, count: number, over: AbortSignal): Promise<void> {
  const folder = inHome.issued(join(homes, REGISTRAR_ORG));
  while (!over.aborted && (await readdir(folder)).length < count) {
    await pause(POLL_MS);
  }
}
