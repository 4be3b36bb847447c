// SPDX-License-Identifier: Apache-2.0

/** A call on its way to somebody. */
export interface Call {
  readonly method: string;
  readonly args: readonly unknown[];
  /** Lets it through. */
  readonly proceed: () => Promise<unknown>;
}

/** What stands between a caller and somebody; what it returns is the answer. */
export type Around = (call: Call) => Promise<unknown>;

/**
 * The same object, every method of which goes through `around`.
 *
 * @param current who answers by the time that a call is let through, where that changes.
 */
export function intercepted<T extends object>(target: T, around: Around, current = (): T => target): T {
  return new Proxy(target, {
    get(object, name) {
      const value: unknown = Reflect.get(object, name, object);
      if (typeof value !== 'function' || typeof name !== 'string') {
        return value;
      }
      const proceed = async (args: readonly unknown[]): Promise<unknown> => {
        const answering = current();
        const method = Reflect.get(answering, name, answering) as (...args: unknown[]) => unknown;
        return Promise.resolve(method.apply(answering, [...args]));
      };
      return (...args: unknown[]) => around({ method: name, args, proceed: () => proceed(args) });
    },
  });
}
