// SPDX-License-Identifier: Apache-2.0
import type * as Core from '@tensorflow/tfjs-core';
import type * as Layers from '@tensorflow/tfjs-layers';
import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { EngineError } from './errors.js';
import { NATIVE_PACKAGE, nativePackage, type OptionalPackage } from './native-package.js';

/** Where TensorFlow.js computes: plain JavaScript, WebAssembly, or TensorFlow's own library. */
export type TfjsBackend = 'cpu' | 'wasm' | 'node';

/** TensorFlow.js with one of its backends. */
export interface Tfjs {
  readonly core: typeof Core;
  readonly layers: typeof Layers;
  /**
   * Lets what follows run on the backend. TensorFlow.js has one current backend a thread, so this is called again after
   * every `await`.
   */
  readonly activate: () => void;
}

const REGISTERED_NAMES: Readonly<Record<TfjsBackend, string>> = { cpu: 'cpu', wasm: 'wasm', node: 'tensorflow' };

const packages = createRequire(import.meta.url);

let previous: Promise<unknown> = Promise.resolve();

/**
 * Loads TensorFlow.js and a backend, one after the other: a backend that starts while another does ends that one's start.
 *
 * @throws EngineError ENGINE_MISSING
 */
export function loadTfjs(backend: TfjsBackend, native = nativePackage): Promise<Tfjs> {
  const loading = previous.then(() => load(backend, native));
  // The caller is told; the next one starts in any case.
  previous = loading.catch(() => undefined);
  return loading;
}

async function load(backend: TfjsBackend, native: OptionalPackage): Promise<Tfjs> {
  const core = await import('@tensorflow/tfjs-core');
  const layers = await import('@tensorflow/tfjs-layers');
  // Otherwise it prints advice to install the native package.
  core.enableProdMode();
  await REGISTER[backend](native);
  const name = REGISTERED_NAMES[backend];
  if (!(await withoutProcessListeners(() => core.setBackend(name)))) {
    throw new EngineError('ENGINE_MISSING', `the backend ${name} of TensorFlow.js does not start; name another engine`);
  }
  // The promise is for a backend that has yet to start; the switch itself is done when the call returns.
  const activate = (): void => void core.setBackend(name);
  probe(core, activate, backend);
  return { core, layers, activate };
}

const REGISTER: Readonly<Record<TfjsBackend, (native: OptionalPackage) => Promise<void>>> = {
  cpu: async () => {
    await import('@tensorflow/tfjs-backend-cpu');
  },
  wasm: async () => {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    const folder = dirname(packages.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
    setWasmPaths(join(folder, 'dist') + sep);
  },
  node: async (native) => {
    if (!native.isInstalled()) {
      throw new EngineError('ENGINE_MISSING', `${NATIVE_PACKAGE} is not installed; \`make tfjs-node\` installs it`);
    }
    try {
      await native.load();
    } catch (cause) {
      throw brokenNative(cause);
    }
  },
};

/** A native package made for another Node loads, and fails at the first operation. */
function probe(core: typeof Core, activate: () => void, backend: TfjsBackend): void {
  try {
    activate();
    core.tidy(() => core.add(core.scalar(1), core.scalar(1)).dataSync());
  } catch (cause) {
    throw backend === 'node' ? brokenNative(cause) : cause;
  }
}

function brokenNative(cause: unknown): EngineError {
  const why = cause instanceof Error ? cause.message.split('\n', 1)[0] : String(cause);
  const detail = `${NATIVE_PACKAGE} is installed and does not work with Node ${process.versions.node} (${why ?? ''}); name tfjs-wasm, or install it again`;
  return new EngineError('ENGINE_MISSING', detail, { cause });
}

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const;
/** Text of the listeners that Emscripten adds. */
const EMSCRIPTEN = /\bExitStatus\b|\{\s*throw reason;?\s*\}/;

/** The WebAssembly backend takes over how the process ends on errors that nobody catches. That is not its business. */
async function withoutProcessListeners<T>(work: () => Promise<T>): Promise<T> {
  const before = EVENTS.flatMap((event) => process.rawListeners(event));
  const result = await work();
  for (const event of EVENTS) {
    for (const listener of process.rawListeners(event)) {
      // Others may have added theirs meanwhile.
      if (!before.includes(listener) && EMSCRIPTEN.test(String(listener))) {
        process.removeListener(event, listener as () => void);
      }
    }
  }
  return result;
}
