// SPDX-License-Identifier: Apache-2.0
import { accuracyScale, belowText, fraction, isBelow, type AccuracyPlot, type Scale } from './plot-scale.js';

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 64;
const RIGHT = 150;
const TOP = 72;
const BOTTOM = 56;
const PLOT_WIDTH = WIDTH - LEFT - RIGHT;
const PLOT_HEIGHT = HEIGHT - TOP - BOTTOM;

/** Colours that also people with colour-vision deficiency tell apart (Okabe and Ito). */
const FEDERATED = '#0072b2';
const CENTRAL = '#009e73';
const ALONE = '#d55e00';
/** A round that is not where its dot is: too low for the scale. */
const HOLLOW = `fill="#ffffff" stroke="${FEDERATED}" stroke-width="1.5"`;
const INK = '#1f2933';
const FAINT = '#e3e8ee';
const MUTED = '#616e7c';

/** R² by round as an SVG document (1.1): the federation's line beside central training and training alone. */
export function accuracySvg(plot: AccuracyPlot): string {
  const scale = accuracyScale(plot, 6);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(HEIGHT)}" width="${String(WIDTH)}" ` +
      `height="${String(HEIGHT)}" role="img" font-family="system-ui, 'Segoe UI', Helvetica, Arial, sans-serif">`,
    `<title>${escape(plot.title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    text(LEFT, 30, plot.title, { size: 18, fill: INK, weight: 600 }),
    text(LEFT, 50, plot.subtitle, { size: 12, fill: MUTED }),
    ...verticalAxis(scale),
    ...horizontalAxis(plot.rounds),
    ...references(plot, scale),
    federatedLine(plot, scale),
    ...labels(plot, scale),
    ...belowNote(plot, scale),
    '</svg>',
  ];
  return `${parts.join('\n')}\n`;
}

function xOf(rounds: readonly number[], index: number): number {
  const last = Math.max(rounds.length - 1, 1);
  return LEFT + 12 + (index / last) * (PLOT_WIDTH - 24);
}

function yOf(scale: Scale, value: number): number {
  return TOP + (1 - fraction(scale, value)) * PLOT_HEIGHT;
}

function verticalAxis(scale: Scale): string[] {
  const lines = scale.ticks.flatMap((tick) => {
    const y = yOf(scale, tick);
    return [
      line(LEFT, y, LEFT + PLOT_WIDTH, y, FAINT),
      text(LEFT - 10, y + 4, formatTick(tick, scale), { size: 12, fill: MUTED, anchor: 'end' }),
    ];
  });
  const middle = TOP + PLOT_HEIGHT / 2;
  const title =
    `<text x="18" y="${num(middle)}" transform="rotate(-90 18 ${num(middle)})" text-anchor="middle" ` +
    `font-size="12" fill="${MUTED}">R² on the test rows</text>`;
  return [...lines, title];
}

function horizontalAxis(rounds: readonly number[]): string[] {
  const base = TOP + PLOT_HEIGHT;
  const every = Math.ceil(rounds.length / 10);
  const marks = rounds.flatMap((round, index) =>
    index % every === 0 || index === rounds.length - 1
      ? [text(xOf(rounds, index), base + 20, String(round), { size: 12, fill: MUTED, anchor: 'middle' })]
      : [],
  );
  const title = text(LEFT + PLOT_WIDTH / 2, base + 42, 'round', { size: 12, fill: MUTED, anchor: 'middle' });
  return [line(LEFT, base, LEFT + PLOT_WIDTH, base, MUTED), ...marks, title];
}

function references({ baselines }: AccuracyPlot, scale: Scale): string[] {
  return baselines === undefined
    ? []
    : [reference(scale, baselines.central, CENTRAL, '7 4'), reference(scale, baselines.alone, ALONE, '2 4')];
}

function reference(scale: Scale, value: number, colour: string, dashes: string): string {
  const y = num(yOf(scale, value));
  return (
    `<line x1="${num(LEFT)}" y1="${y}" x2="${num(LEFT + PLOT_WIDTH)}" y2="${y}" stroke="${colour}" ` +
    `stroke-width="2" stroke-dasharray="${dashes}"/>`
  );
}

function federatedLine(plot: AccuracyPlot, scale: Scale): string {
  const points = plot.federated.map((value, index) => [xOf(plot.rounds, index), yOf(scale, value)] as const);
  const path = points.map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${num(x)} ${num(y)}`).join(' ');
  const dots = points.map(([x, y], index) => {
    const what = `round ${String(plot.rounds[index])}: R² ${(plot.federated[index] ?? 0).toFixed(3)}`;
    const paint = isBelow(scale, plot.federated[index] ?? 0) ? HOLLOW : `fill="${FEDERATED}"`;
    return `<circle cx="${num(x)}" cy="${num(y)}" r="3.5" ${paint}><title>${what}</title></circle>`;
  });
  return `<path d="${path}" fill="none" stroke="${FEDERATED}" stroke-width="2.5" stroke-linejoin="round"/>\n${dots.join('\n')}`;
}

/** Below the legend: what hollow dots stand for. */
function belowNote(plot: AccuracyPlot, scale: Scale): string[] {
  const note = belowText(plot, scale);
  const [x, y] = [LEFT + PLOT_WIDTH + 12, TOP + PLOT_HEIGHT + 24];
  return note === undefined ? [] : [text(x, y, `○ ${note}`, { size: 11, fill: FEDERATED })];
}

/** The legend stands at the ends of the lines, moved apart where they would touch. */
function labels(plot: AccuracyPlot, scale: Scale): string[] {
  const last = plot.federated.at(-1) ?? 0;
  const entries = [
    { name: 'federated', value: last, colour: FEDERATED },
    ...(plot.baselines === undefined
      ? []
      : [
          { name: 'central', value: plot.baselines.central, colour: CENTRAL },
          { name: 'alone', value: plot.baselines.alone, colour: ALONE },
        ]),
  ].sort((a, b) => b.value - a.value);
  let below = TOP - 20;
  const ys = entries.map((entry) => (below = Math.max(yOf(scale, entry.value), below + 20)));
  const overflow = Math.max(0, below - (TOP + PLOT_HEIGHT));
  return entries.map(({ name, value, colour }, index) =>
    text(LEFT + PLOT_WIDTH + 12, (ys[index] ?? 0) - overflow + 4, `${name} ${value.toFixed(3)}`, {
      size: 13,
      fill: colour,
      weight: 600,
    }),
  );
}

interface TextStyle {
  readonly size: number;
  readonly fill: string;
  readonly weight?: number;
  readonly anchor?: 'middle' | 'end';
}

function text(x: number, y: number, content: string, style: TextStyle): string {
  const weight = style.weight === undefined ? '' : ` font-weight="${String(style.weight)}"`;
  const anchor = style.anchor === undefined ? '' : ` text-anchor="${style.anchor}"`;
  return `<text x="${num(x)}" y="${num(y)}" font-size="${String(style.size)}" fill="${style.fill}"${weight}${anchor}>${escape(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${num(x1)}" y1="${num(y1)}" x2="${num(x2)}" y2="${num(y2)}" stroke="${colour}"/>`;
}

function formatTick(tick: number, scale: Scale): string {
  const step = (scale.ticks[1] ?? 1) - (scale.ticks[0] ?? 0);
  return tick.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

function num(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
