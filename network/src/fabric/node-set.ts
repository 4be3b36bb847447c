// SPDX-License-Identifier: Apache-2.0
import { NetworkError } from '../errors.js';
import type { Log } from '../supervisor/running.js';
import { NodeProcess, settleAll, startAll, stopAll, type NodeKind, type NodeSpecification } from './node-process.js';
import type { NodeStatus } from './node-process.js';

/** Nobody may miss what another needs to end in order: clients first, then those they depend on. */
const STOP_ORDER: readonly NodeKind[] = ['chaincode', 'peer', 'orderer', 'ca'];

/** The processes that a home runs. */
export class NodeSet {
  readonly #log: Log;
  #processes: NodeProcess[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  status(): readonly NodeStatus[] {
    return this.#processes.map((process) => process.status());
  }

  /** Starts those that do not run yet, side by side. */
  async start(specifications: readonly NodeSpecification[]): Promise<void> {
    const known = new Set(this.#processes.map(({ specification }) => specification.name));
    const fresh = specifications
      .filter(({ name }) => !known.has(name))
      .map((specification) => new NodeProcess(specification, this.#log));
    this.#processes.push(...fresh);
    await startAll(fresh);
  }

  /** Starts the processes of a kind that are missing and stops those that are not among these. */
  async replace(kind: NodeKind, specifications: readonly NodeSpecification[]): Promise<void> {
    const wanted = new Set(specifications.map(({ name }) => name));
    const isObsolete = ({ specification }: NodeProcess): boolean =>
      specification.kind === kind && !wanted.has(specification.name);
    const obsolete = this.#processes.filter(isObsolete);
    this.#processes = this.#processes.filter((process) => !isObsolete(process));
    await stopAll(obsolete);
    await this.start(specifications);
  }

  /** @throws NetworkError NODE_UNKNOWN naming those there are */
  #find(names: readonly string[]): NodeProcess[] {
    return names.map((name) => {
      const process = this.#processes.find(({ specification }) => specification.name === name);
      if (process === undefined) {
        const known = this.#processes.map(({ specification }) => specification.name).join(', ');
        throw new NetworkError('NODE_UNKNOWN', `no process "${name}" runs here; there are ${known}`);
      }
      return process;
    });
  }

  /** Stops and starts processes, one after the other. @throws NetworkError NODE_UNKNOWN naming those there are */
  async restart(names: readonly string[]): Promise<void> {
    for (const process of this.#find(names)) {
      await process.restart();
    }
  }

  /** Stops processes until they are restarted. @throws NetworkError NODE_UNKNOWN naming those there are */
  async stopSome(names: readonly string[]): Promise<void> {
    await settleAll(this.#find(names).map((process) => process.stop()));
  }

  /** Stops everything, kind by kind. */
  async stop(): Promise<void> {
    for (const kind of STOP_ORDER) {
      await settleAll(
        this.#processes.filter(({ specification }) => specification.kind === kind).map((process) => process.stop()),
      );
    }
  }
}
