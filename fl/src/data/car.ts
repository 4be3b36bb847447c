// SPDX-License-Identifier: Apache-2.0

export const FUELS = ['Petrol', 'Diesel', 'CNG', 'LPG', 'Electric'] as const;
export type Fuel = (typeof FUELS)[number];

export const SELLERS = ['Individual', 'Dealer', 'Trustmark Dealer'] as const;
export type Seller = (typeof SELLERS)[number];

export const TRANSMISSIONS = ['Manual', 'Automatic'] as const;
export type Transmission = (typeof TRANSMISSIONS)[number];

/** In the order of rank: the position is the number of owners so far, as far as the data tells. */
export const OWNERS = ['Test Drive Car', 'First Owner', 'Second Owner', 'Third Owner', 'Fourth & Above Owner'] as const;
export type Owner = (typeof OWNERS)[number];

/** One advert of a used car. */
export interface CarRow {
  /** SHA-256 of the line as UTF-8, hex: decides fold and client, so a row keeps its place in whatever file it comes. */
  readonly hash: string;
  readonly name: string;
  /** First word of the name. */
  readonly brand: string;
  /** Year of first registration. */
  readonly year: number;
  readonly priceRupees: number;
  readonly kilometres: number;
  readonly fuel: Fuel;
  readonly seller: Seller;
  readonly transmission: Transmission;
  readonly owner: Owner;
}

/** A table without repeated lines, in the order of the file. */
export interface CarTable {
  /** Name of the file without its folder, or the generator's settings. */
  readonly source: string;
  readonly rows: readonly CarRow[];
  /** Repeated lines that were dropped. */
  readonly repeated: number;
}

/** Of five folds, 0 is the test set: uint32(hex digits 0-7 of the row's hash) mod 5. */
export function foldOf(row: Pick<CarRow, 'hash'>): number {
  return Number.parseInt(row.hash.slice(0, 8), 16) % 5;
}

export function isTestRow(row: Pick<CarRow, 'hash'>): boolean {
  return foldOf(row) === 0;
}
