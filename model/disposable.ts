/// <reference lib="esnext.disposable" preserve="true" />

/**
 * Has `using` end objects of a class by their `dispose`. Runtimes that know no `Symbol.dispose` get the symbol that
 * compilers of `using` look for instead.
 */
export function makeDisposable(type: { readonly prototype: { dispose(): void } }): void {
  const key: symbol = Symbol.dispose ?? Symbol.for("Symbol.dispose");
  Object.defineProperty(type.prototype, key, { value: type.prototype.dispose, configurable: true });
}
