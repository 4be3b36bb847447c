// SPDX-License-Identifier: Apache-2.0
import type { Engine } from './engine.js';
import { EngineError } from './errors.js';
import { checkModel, type ModelBounds, type ModelSpec } from './model.js';

/** What every engine asks before it takes a model. */
export class Gate {
  readonly #engine: Pick<Engine, 'name' | 'architectures'>;
  readonly #bounds: ModelBounds;
  #isClosed = false;

  constructor(engine: Pick<Engine, 'name' | 'architectures'>, bounds: ModelBounds) {
    this.#engine = engine;
    this.#bounds = bounds;
  }

  close(): void {
    this.#isClosed = true;
  }

  /** @throws EngineError ENGINE_CLOSED, ENGINE_UNFIT, MODEL_TOO_LARGE; ModelError MODEL_LAYERS */
  check(spec: ModelSpec): void {
    const { name, architectures } = this.#engine;
    if (this.#isClosed) {
      throw new EngineError('ENGINE_CLOSED', `${name} has been closed; ask for a new one`);
    }
    if (!architectures.includes(spec.kind)) {
      const wayOut = name === 'dense' ? 'name the engine tfjs for an lstm' : 'take a model of these';
      throw new EngineError('ENGINE_UNFIT', `${name} does ${architectures.join(', ')}, not ${spec.kind}; ${wayOut}`);
    }
    checkModel(spec, this.#bounds);
  }
}
