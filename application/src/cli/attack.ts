// SPDX-License-Identifier: Apache-2.0
import type { Command } from 'commander';
import { renderTable } from '../report/summary.js';
import { addCommand, addGroup, type Runner } from './command.js';

export function attackCommands(program: Command, run: Runner): void {
  addList(addGroup(program, 'attack', 'attacks on learning, for exercises'), run);
}

function addList(group: Command, run: Runner): void {
  addCommand(group, run, {
    usage: 'list',
    summary: 'list the attacks that vehicles and validators can be told to run',
    examples: ['sev attack list', 'sev round run --vehicles 20 --attack label-flip --hostile 0.2'],
    notes:
      'They are run by --attack of `sev round run`, or of `sev vehicle run`, on a network of your own.\n' +
      'All know what is public: the task, the models of earlier rounds, the reference direction once a round is over.',
    work: async () => {
      const { ATTACKS } = await import('@sev/fl');
      const attacks = ATTACKS.map(({ name, role, description, knows }) => ({ name, role, description, knows }));
      const rows = attacks.map(({ name, role, description, knows }) => [name, role, description, knows]);
      const table = renderTable(['attack', 'by a', 'what it does', 'what the attacker knows'], rows, new Set());
      return { data: attacks, text: table };
    },
  });
}
