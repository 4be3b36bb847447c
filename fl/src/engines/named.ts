// SPDX-License-Identifier: Apache-2.0
import { DenseEngine } from './dense.js';
import { ENGINE_NAMES, type Engine, type EngineName } from './engine.js';
import { EngineError } from './errors.js';
import { DEFAULT_MODEL_BOUNDS, type ModelBounds } from './model.js';
import type { OptionalPackage } from './native-package.js';

/** Which engine a name stands for on this machine. */
export interface EngineChoice {
  readonly engine: Engine['name'];
  /** Why this one; a sentence for the user. */
  readonly reason: string;
}

/**
 * The engine of a name, loaded when it is asked for.
 *
 * @param bounds the largest model that it takes.
 * @param native where `@tensorflow/tfjs-node` comes from; given in tests only.
 * @throws EngineError ENGINE_UNKNOWN, ENGINE_MISSING
 */
export async function engineNamed(
  name: string,
  bounds: ModelBounds = DEFAULT_MODEL_BOUNDS,
  native?: OptionalPackage,
): Promise<Engine> {
  const { engine } = await chooseEngine(name, native);
  if (engine === 'dense') {
    return new DenseEngine(bounds);
  }
  const { TfjsEngine } = await import('./tfjs.js');
  const backends = { 'tfjs-cpu': 'cpu', 'tfjs-wasm': 'wasm', 'tfjs-node': 'node' } as const;
  return TfjsEngine.load(backends[engine], bounds, native);
}

/**
 * Which engine {@link engineNamed} gives for a name, and why: `tfjs` falls back to WebAssembly where the native package is
 * not installed or does not work.
 *
 * @throws EngineError ENGINE_UNKNOWN
 */
export async function chooseEngine(name: string, native?: OptionalPackage): Promise<EngineChoice> {
  if (!isEngineName(name)) {
    throw new EngineError('ENGINE_UNKNOWN', `no engine ${name}; there are ${ENGINE_NAMES.join(', ')}`);
  }
  if (name !== 'tfjs') {
    return { engine: name, reason: `${name} was named` };
  }
  const { loadTfjs } = await import('./tfjs-backends.js');
  try {
    await loadTfjs('node', native);
    return { engine: 'tfjs-node', reason: '@tensorflow/tfjs-node is installed and works' };
  } catch (error) {
    if (error instanceof EngineError && error.code === 'ENGINE_MISSING') {
      return { engine: 'tfjs-wasm', reason: error.detail };
    }
    throw error;
  }
}

function isEngineName(name: string): name is EngineName {
  return ENGINE_NAMES.some((known) => known === name);
}
