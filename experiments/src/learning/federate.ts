// SPDX-License-Identifier: Apache-2.0
import {
  FINE_TUNING,
  learningTask,
  modelSpecOf,
  serverOptimiserOf,
  trainingOf,
  type LearningChoice,
  type LearningKind,
} from '@sev/application';
import { engineNamed, personalise, runFederation, type LearningTable, type Metrics, type Personalised } from '@sev/fl';

/** What a federation departs from the defaults in. */
export type Variant = Pick<LearningChoice, 'server' | 'proximal'>;

export interface FederationRequest {
  readonly kind: LearningKind;
  readonly table: LearningTable;
  readonly split: string;
  /** Left out where the split has natural clients. */
  readonly clients?: number;
  /** Rounds that are evaluated; the last is how long the federation runs. */
  readonly rounds: readonly number[];
  readonly seed: number;
  readonly variant?: Variant;
}

export interface Federated {
  /** Of each round of `rounds`. */
  readonly metrics: readonly Metrics[];
  /** Each client's own fine-tuning of the last model. */
  readonly fineTune: () => Promise<Personalised>;
}

/**
 * A federation in memory with the product's defaults for the kind of task: all clients in every round, floating point,
 * weights by rows.
 *
 * @throws DataError as `LearningTable.split`.
 */
export function federate({ kind, table, rounds, seed, variant = {}, ...request }: FederationRequest): Federated {
  const { clients, test, clientTests } = table.split(request);
  const trainingRows = clients.reduce((sum, data) => sum + data.rows, 0);
  const last = Math.max(...rounds);
  const { task } = learningTask(
    { kind, features: table.features, ...variant },
    { taskId: 'experiment', vehicles: clients.length, rounds: last, seed, trainingRows },
  );
  const training = trainingOf(task, seed);
  const { target } = table;
  const { parameters, rounds: evaluated } = runFederation({
    ...{ layers: task.model.layers, target, clients, test, training, rounds: last, evaluateAt: rounds },
    server: serverOptimiserOf(task),
  });
  return {
    metrics: evaluated.map(({ metrics }) => metrics),
    fineTune: async () => {
      const learner = { engine: await engineNamed('dense'), spec: modelSpecOf(task.model), target };
      return personalise(parameters, {
        ...learner,
        ...{ clients, clientTests, training: { ...training, ...FINE_TUNING } },
      });
    },
  };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
