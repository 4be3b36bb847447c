// SPDX-License-Identifier: Apache-2.0
import type { Task } from '@sev/chaincode/api';
import { PRICE_TRAINING, type TrainingOptions } from '@sev/fl';
import type { LearningKind } from '../vehicle/data.js';

/** Of an LSTM. */
export const UNITS = 16;

/** Local training of a round by kind of task. */
export const TRAINING: Readonly<Record<LearningKind, Omit<TrainingOptions, 'seed'>>> = {
  price: PRICE_TRAINING,
  // Few sessions are far from the rest, hence Huber's loss.
  demand: { epochs: 2, batchSize: 32, learningRate: 1e-3, huber: 0.1 },
  table: PRICE_TRAINING,
};

/** What a client trains on its own rows after the last round: gently, or it would forget what it has from the others. */
export const FINE_TUNING = { epochs: 5, learningRate: 5e-4 } as const;

export const SERVER_NAMES = ['momentum', 'adam', 'yogi'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

const ADAPTIVE = { rateMicro: 30_000, beta1Micro: 900_000, beta2Micro: 990_000, tauMicro: 1_000 } as const;

/** Optimisers of the server by name; chosen on folds 1 to 4 of the CarDekho data (docs/learning.md). */
export const SERVERS: Readonly<Record<ServerName, NonNullable<Task['aggregation']['server']>>> = {
  momentum: { kind: 'momentum', rateMicro: 1_000_000, beta1Micro: 900_000 },
  adam: { kind: 'adam', ...ADAPTIVE },
  yogi: { kind: 'yogi', ...ADAPTIVE },
};
