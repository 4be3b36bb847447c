// SPDX-License-Identifier: Apache-2.0
import type { Attack } from '@sev/fl';
import type { Command } from 'commander';
import type { AttackRequest } from '../attack/attack-order.js';
import { SEED } from './values.js';

/** What a program says of an attack that it is to run. */
export interface AttackOptions {
  readonly attack?: string;
  readonly attackSeed?: number;
}

export function attackOptions(command: Command): void {
  command.option('--attack <name>', 'for exercises: attack on purpose (see `sev attack list`)');
  command.option('--attack-seed <n>', 'what an attacker draws follows from it', SEED, 0);
}

/** @throws SevError ATTACK_UNKNOWN, ATTACK_UNSUITED */
export async function attackOf(
  { attack: name, attackSeed: seed }: AttackOptions,
  role: Attack['role'],
): Promise<AttackRequest | undefined> {
  if (name === undefined) {
    return undefined;
  }
  const { knownAttack } = await import('../attack/attack-order.js');
  knownAttack(name, role);
  return { name, seed };
}
