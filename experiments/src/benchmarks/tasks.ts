// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { inHome, learning, openSession, openWallet, priceTask, readConnectionProfile } from '@sev/application';
import type { BenchmarkContext } from '../figure.js';

/** Writes tasks, each under a key of its own: a transaction of the real contracts that any number of callers may make. */
export interface TaskWriter {
  /** @returns once the task is committed. */
  write(index: number): Promise<void>;
  isWritten(index: number): Promise<boolean>;
  close(): void;
}

/** A writer with the session of an organisation's coordinator, which retries and moves to other gateways by itself. */
export async function newTaskWriter(context: BenchmarkContext, organisation: string): Promise<TaskWriter> {
  const profile = await readConnectionProfile(context.networkHome);
  const wallet = await openWallet(inHome.wallet(join(context.homes, organisation)));
  const session = await openSession({ profile, identity: await wallet.get('coordinator') });
  const contract = learning(session);
  const prefix = `load-${randomBytes(4).toString('hex')}`;
  const idOf = (index: number): string => `${prefix}-${index.toString()}`;
  return {
    write: async (index) => {
      const { task } = priceTask({ taskId: idOf(index), vehicles: 10, rounds: 1, seed: 1, trainingRows: 1_000 });
      await contract.createTask(task);
    },
    isWritten: async (index) => (await contract.task(idOf(index))).task.taskId === idOf(index),
    close: () => {
      session.close();
    },
  };
}
