// SPDX-License-Identifier: Apache-2.0
import type { Colors } from 'picocolors/types.js';
import { accuracyScale, belowText, fraction, isBelow, type AccuracyPlot } from './plot-scale.js';

const HEIGHT = 12;
const MAX_WIDTH = 60;

type Paint = Pick<Colors, 'blue' | 'green' | 'yellow' | 'dim'>;
type Cell = 'federated' | 'below' | 'central' | 'alone' | undefined;

const SIGN = { federated: '●', below: '▼', central: '─', alone: '·' } as const;

/** R² by round for a terminal: dots for the federation, a triangle for a round too low for the scale, lines for central training and training alone. */
export function terminalPlot(plot: AccuracyPlot, paint: Paint): string {
  const scale = accuracyScale(plot, 5);
  const columns = Math.max(plot.rounds.length, 2);
  const spacing = Math.max(1, Math.min(4, Math.floor(MAX_WIDTH / columns)));
  const width = Math.min(MAX_WIDTH, (columns - 1) * spacing + 1);
  const grid = Array.from({ length: HEIGHT }, () => new Array<Cell>(width).fill(undefined));
  const rowOf = (value: number): number => Math.round((1 - fraction(scale, value)) * (HEIGHT - 1));
  const { baselines } = plot;
  if (baselines !== undefined) {
    grid[rowOf(baselines.alone)]?.fill('alone');
    grid[rowOf(baselines.central)]?.fill('central');
  }
  plot.federated.forEach((value, index) => {
    const row = grid[rowOf(value)];
    const column = Math.round((index / Math.max(plot.rounds.length - 1, 1)) * (width - 1));
    if (row !== undefined) {
      row[column] = isBelow(scale, value) ? 'below' : 'federated';
    }
  });
  const colour = { federated: paint.blue, below: paint.blue, central: paint.green, alone: paint.yellow };
  const tickRows = new Map(scale.ticks.map((tick) => [rowOf(tick), tick.toFixed(2)]));
  const lines = grid.map((row, index) => {
    const label = (tickRows.get(index) ?? '').padStart(6);
    const cells = row.map((cell) => (cell === undefined ? ' ' : colour[cell](SIGN[cell]))).join('');
    return `${paint.dim(`${label} ┤`)}${cells}`.trimEnd();
  });
  const first = String(plot.rounds[0] ?? 1);
  const last = `${String(plot.rounds.at(-1) ?? 1)} round`;
  const axis = `${' '.repeat(8)}${first}${last.padStart(Math.max(width - first.length + 6, last.length + 1))}`;
  const below = belowText(plot, scale);
  const legend = [
    `${colour.federated(SIGN.federated)} federated ${(plot.federated.at(-1) ?? 0).toFixed(3)}`,
    ...(below === undefined ? [] : [`${colour.below(SIGN.below)} ${below}`]),
    ...(baselines === undefined
      ? []
      : [
          `${colour.central(SIGN.central)} central ${baselines.central.toFixed(3)}`,
          `${colour.alone(SIGN.alone)} alone ${baselines.alone.toFixed(3)}`,
        ]),
  ];
  return [`  R² by round   ${legend.join('   ')}`, ...lines, axis].join('\n');
}
