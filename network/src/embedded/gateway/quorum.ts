// SPDX-License-Identifier: Apache-2.0
import { status } from '@grpc/grpc-js';
import type { Availability, NodeAddress } from '../availability.js';
import { GatewayFault } from './status.js';

const TOO_FEW = 'insufficient number of orderers could successfully process transaction to satisfy quorum requirement';

/** The orderers as a gateway sees them: one an organisation, of which a quorum has to take a transaction (SmartBFT). */
export class OrdererQuorum {
  readonly #orderers: readonly NodeAddress[];
  readonly #availability: Availability;

  constructor(orderers: readonly NodeAddress[], availability: Availability) {
    this.#orderers = orderers;
    this.#availability = availability;
  }

  /** @throws GatewayFault UNAVAILABLE where so few can be reached that they order nothing. */
  require(): void {
    const down = this.#orderers.filter(({ mspId }) => !this.#availability.isOrdererUp(mspId));
    if (down.length >= this.#decisive) {
      throw this.#fault(
        down,
        (address) =>
          'rpc error: code = Unavailable desc = connection error: desc = ' +
          `"transport: Error while dialing: dial tcp ${address}: connect: connection refused"`,
      );
    }
  }

  /** What a gateway answers where every orderer refuses a transaction. */
  refusal(code: 'BAD_REQUEST' | 'FORBIDDEN', info: string): GatewayFault {
    return this.#fault(
      this.#orderers,
      () => `received unsuccessful response from orderer: status=${code}, info=${info}`,
    );
  }

  /** A gateway waits for no more failures than rule a quorum out. */
  #fault(failing: readonly NodeAddress[], message: (address: string) => string): GatewayFault {
    const details = failing
      .slice(0, this.#decisive)
      .map(({ address, mspId }) => ({ address, mspId, message: message(address) }));
    return new GatewayFault(status.UNAVAILABLE, TOO_FEW, details);
  }

  /** So many failures leave too few for a quorum of ⌈(n + f + 1) / 2⌉, where n nodes tolerate f = ⌊(n − 1) / 3⌋. */
  get #decisive(): number {
    const nodes = this.#orderers.length;
    const faulty = Math.floor((nodes - 1) / 3);
    return nodes - Math.ceil((nodes + faulty + 1) / 2) + 1;
  }
}
