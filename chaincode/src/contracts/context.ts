// SPDX-License-Identifier: Apache-2.0
import { Context, Contract } from 'fabric-contract-api';
import { ContractError } from '../api';
import { callerOf, type Caller } from '../caller';
import type { TransitionFacts } from '../domain/round';
import { authorise } from '../guard';
import { GovernanceRepository } from '../ledger/governance';
import { IncidentRepository } from '../ledger/incidents';
import { LearningRepository } from '../ledger/learning';
import { RegistryRepository } from '../ledger/registry';
import { RewardRepository } from '../ledger/rewards';
import { LedgerState } from '../ledger/state';

/** What one transaction works with. */
export class LedgerContext extends Context {
  #caller: Caller | undefined;
  #state: LedgerState | undefined;

  /** The caller, once the guard has let it in. */
  get caller(): Caller {
    if (this.#caller === undefined) {
      throw new ContractError('ACCESS_DENIED', 'the guard has not run');
    }
    return this.#caller;
  }

  get state(): LedgerState {
    this.#state ??= new LedgerState(this.stub);
    return this.#state;
  }

  get governance(): GovernanceRepository {
    return new GovernanceRepository(this.state);
  }

  get registry(): RegistryRepository {
    return new RegistryRepository(this.state);
  }

  get learning(): LearningRepository {
    return new LearningRepository(this.state);
  }

  get incidents(): IncidentRepository {
    return new IncidentRepository(this.state);
  }

  get rewards(): RewardRepository {
    return new RewardRepository(this.state);
  }

  async admit(transaction: string): Promise<void> {
    const caller = callerOf(this.clientIdentity);
    await authorise(transaction, caller, this.governance);
    this.#caller = caller;
  }
}

/** What transitions of a round are judged by: who asks, when, and the organisations whose statements count. */
export async function transitionFacts({ governance, caller, state }: LedgerContext): Promise<TransitionFacts> {
  const [consortium, organisations] = await Promise.all([governance.consortiumHash(), governance.members()]);
  return { consortium, callerMspId: caller.mspId, nowMs: state.nowMs, organisations };
}

/** A contract whose every transaction passes the guard first. */
export class ConsortiumContract extends Contract {
  override createContext(): LedgerContext {
    return new LedgerContext();
  }

  override async beforeTransaction(ctx: LedgerContext): Promise<void> {
    const { fcn } = ctx.stub.getFunctionAndParameters();
    // As the shim splits it: what follows the first colon, or all where the contract is left out.
    await ctx.admit(`${this.getName()}:${fcn.slice(fcn.indexOf(':') + 1)}`);
  }

  override unknownTransaction(ctx: LedgerContext): Promise<void> {
    const { fcn } = ctx.stub.getFunctionAndParameters();
    return Promise.reject(new ContractError('ACCESS_DENIED', `there is no transaction ${fcn.slice(0, 100)}`));
  }
}
