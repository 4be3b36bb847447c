// SPDX-License-Identifier: Apache-2.0

/** What a model predicts: a quantity in a unit, and the scale on which the network sees it. Plain data. */
export interface Target {
  /** `rupees`, `kWh`, …: the unit of reported errors. */
  readonly unit: string;
  readonly transform: 'none' | 'log';
  /** scaled = (transform(quantity) − offset) / scale. Public constants, not taken from any data. */
  readonly offset: number;
  readonly scale: number;
}

/** A broken model may predict anything; beyond e^30 (10^13) of the unit a logarithmic prediction counts as that. */
const MAX_LOG = 30;

/** The quantity in the target's unit that a scaled target or prediction stands for. */
export function toUnit({ transform, offset, scale }: Target, value: number): number {
  const transformed = value * scale + offset;
  return transform === 'log' ? Math.exp(Math.min(transformed, MAX_LOG)) : transformed;
}

/** What the network sees of a quantity; for `log` the quantity must be positive. */
export function toScaled({ transform, offset, scale }: Target, quantity: number): number {
  return ((transform === 'log' ? Math.log(quantity) : quantity) - offset) / scale;
}
