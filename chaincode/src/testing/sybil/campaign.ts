// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, type VehicleRecord } from '../../api';
import type { Attempt, SybilKind } from './attempt';
import { byForgery } from './by-forgery';
import { bySlots } from './by-slots';
import { bySpelling } from './by-spelling';
import { byVehicle } from './by-vehicle';
import type { SybilGround } from './ground';
import { SeededChoice } from './seeded';

/** Every way of getting a second identity past the contract that is known. */
export const SYBIL_KINDS: readonly SybilKind[] = [...byVehicle, ...bySpelling, ...byForgery, ...bySlots];

export interface CampaignOptions {
  readonly attempts: number;
  readonly seed: number;
  /** Default {@link SYBIL_KINDS}. */
  readonly kinds?: readonly SybilKind[];
  /** Attempts under way at once; default 1. */
  readonly inFlight?: number;
  readonly onProgress?: (done: number) => void;
}

/** What the attempts of one kind came to. */
export interface KindResult {
  readonly kind: string;
  readonly attacker: SybilKind['attacker'];
  readonly tried: number;
  /** Attempts by the code of their last refusal. */
  readonly refused: Readonly<Record<string, number>>;
  /** Taken as a repetition; the ledger stays as it was. */
  readonly unchanged: number;
  /** Identities beyond the one that a car may have, and enrolled vehicles that became others. */
  readonly gotIn: number;
  /** Attempts that were refused for another reason than the kind should be, or not at all although they should be. */
  readonly unexpected: number;
}

export interface CampaignResult {
  readonly seed: number;
  readonly attempts: number;
  readonly gotIn: number;
  /** First identities of cars that had none, as some kinds come with. */
  readonly firsts: number;
  /** Vehicles that are on the ledger and of which no attempt knows. */
  readonly unexplained: number;
  /** Vehicles enrolled before the campaign whose records are not what they were. */
  readonly changed: number;
  readonly kinds: readonly KindResult[];
}

interface Tried {
  readonly kind: SybilKind;
  readonly attempt: Attempt;
  readonly codes: readonly string[];
}

/**
 * Makes attempts of all kinds in turn and counts, by what is on the ledger at the end and not by what was answered,
 * which got in. The seed fixes their order, victims and alterations; keys and ids are new every time.
 */
export async function runCampaign(ground: SybilGround, options: CampaignOptions): Promise<CampaignResult> {
  const { attempts, seed, kinds = SYBIL_KINDS, inFlight = 1, onProgress } = options;
  const random = new SeededChoice(seed);
  const before = byId(await ground.port.vehicles());
  const tried: Tried[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < attempts) {
      const kind = kinds[next % kinds.length];
      next += 1;
      if (kind === undefined) {
        throw new RangeError('a campaign needs kinds');
      }
      const attempt = await kind.make(ground, random);
      tried.push({ kind, attempt, codes: await attempt.run() });
      onProgress?.(tried.length);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return tally(seed, kinds, tried, before, byId(await ground.port.vehicles()));
}

type Vehicles = ReadonlyMap<string, VehicleRecord>;

function tally(
  seed: number,
  kinds: readonly SybilKind[],
  tried: readonly Tried[],
  before: Vehicles,
  after: Vehicles,
): CampaignResult {
  const results = kinds.map((kind): KindResult => {
    const own = tried.filter((one) => one.kind === kind);
    const refused: Record<string, number> = {};
    for (const code of own.flatMap(({ codes }) => codes.slice(-1))) {
      refused[code] = (refused[code] ?? 0) + 1;
    }
    return {
      kind: kind.name,
      attacker: kind.attacker,
      tried: own.length,
      refused,
      unchanged: own.filter((one) => one.codes.length === 0 && gotIn(one, before, after) === 0).length,
      gotIn: sum(own.map((one) => gotIn(one, before, after))),
      unexpected: own.filter(({ codes }) => !isExpected(kind, codes.at(-1))).length,
    };
  });
  const presentIds = tried.flatMap(({ attempt }) => present(attempt, after));
  const firsts = sum(tried.map(({ attempt }) => Math.min(attempt.firsts ?? 0, present(attempt, after).length)));
  return {
    seed,
    attempts: tried.length,
    gotIn: sum(results.map((result) => result.gotIn)),
    firsts,
    unexplained: after.size - before.size - new Set(presentIds).size,
    changed: [...before.keys()].filter((id) => !isSame(before.get(id), after.get(id))).length,
    kinds: results,
  };
}

function isExpected({ refusals }: SybilKind, code: string | undefined): boolean {
  return code === undefined ? refusals.length === 0 : refusals.includes(code);
}

function gotIn({ attempt, codes }: Tried, before: Vehicles, after: Vehicles): number {
  const { victimId, firsts = 0 } = attempt;
  const extra = Math.max(0, present(attempt, after).length - firsts);
  const changed = victimId !== undefined && codes.length === 0 && !isSame(before.get(victimId), after.get(victimId));
  return extra + (changed ? 1 : 0);
}

function present({ newIds }: Attempt, after: Vehicles): string[] {
  return newIds.filter((id) => after.has(id));
}

function isSame(before: VehicleRecord | undefined, after: VehicleRecord | undefined): boolean {
  return before !== undefined && after !== undefined && canonicalJson(before) === canonicalJson(after);
}

function byId(vehicles: readonly VehicleRecord[]): Vehicles {
  return new Map(vehicles.map((vehicle) => [vehicle.vehicleId, vehicle]));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
