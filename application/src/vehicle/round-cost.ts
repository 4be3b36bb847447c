// SPDX-License-Identifier: Apache-2.0
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { AttemptRef } from '../services/attempt.js';
import { readJson, writeJson } from '../store/files.js';
import type { TrainedUpdate } from './messages.js';

const cost = z.object({
  /** Vehicles that trained. */
  vehicles: z.int(),
  /** Processor time of the whole program while they took part, over their number, ms. */
  cpuMs: z.number(),
  /** Of the whole program since it began, MB. */
  peakMemoryMb: z.number(),
  /** Payload that one vehicle sends and gets, without HTTP and TLS. */
  bytesUp: z.number(),
  bytesDown: z.number(),
});
/** What an attempt cost the vehicles of a program. */
export type RoundCost = z.infer<typeof cost>;

/** Measures one participation. */
export class CostMeter {
  readonly #before = process.cpuUsage();
  #vehicles = 0;
  #bytesUp = 0;

  sent({ bytes, shares, envelope }: TrainedUpdate): void {
    const sealed = Object.values(shares?.sealed ?? {});
    const envelopeBytes = JSON.stringify(envelope).length;
    this.#vehicles += 1;
    // The envelope goes with each share and to a batcher.
    this.#bytesUp += bytes.length + sealed.reduce((sum, share) => sum + share.length, 0);
    this.#bytesUp += (sealed.length + 1) * envelopeBytes;
  }

  /** @param bytesDown what each vehicle needs: the model, and what the ledger shows of the attempt. */
  cost(bytesDown: number): RoundCost {
    const { user, system } = process.cpuUsage(this.#before);
    const each = Math.max(1, this.#vehicles);
    return {
      vehicles: this.#vehicles,
      cpuMs: Math.round((user + system) / 10 / each) / 100,
      peakMemoryMb: Math.round(process.resourceUsage().maxRSS / 1024),
      bytesUp: Math.round(this.#bytesUp / each),
      bytesDown,
    };
  }
}

function costPath(home: string, { taskId, round }: Pick<AttemptRef, 'taskId' | 'round'>): string {
  return join(home, 'costs', taskId, `${String(round)}.json`);
}

/** Leaves the cost of a round in the vehicles' home. */
export async function writeCost(home: string, ref: AttemptRef, spent: RoundCost): Promise<void> {
  const path = costPath(home, ref);
  await mkdir(dirname(path), { recursive: true });
  await writeJson(path, spent);
}

/** @returns undefined where there is none. */
export async function readCost(
  home: string,
  ref: Pick<AttemptRef, 'taskId' | 'round'>,
): Promise<RoundCost | undefined> {
  return cost.safeParse(await readJson(costPath(home, ref))).data;
}
