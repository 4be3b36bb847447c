// SPDX-License-Identifier: Apache-2.0

/** A node as error details name it. */
export interface NodeAddress {
  readonly mspId: string;
  readonly address: string;
}

/** Which organisations' peers and orderers can be reached: their failure can be rehearsed. */
export class Availability {
  readonly #peersDown = new Set<string>();
  readonly #orderersDown = new Set<string>();

  isPeerUp(mspId: string): boolean {
    return !this.#peersDown.has(mspId);
  }

  isOrdererUp(mspId: string): boolean {
    return !this.#orderersDown.has(mspId);
  }

  setPeer(mspId: string, isUp: boolean): void {
    set(this.#peersDown, mspId, isUp);
  }

  setOrderer(mspId: string, isUp: boolean): void {
    set(this.#orderersDown, mspId, isUp);
  }
}

function set(down: Set<string>, mspId: string, isUp: boolean): void {
  if (isUp) {
    down.delete(mspId);
  } else {
    down.add(mspId);
  }
}
