/**
 * Dawn for Node asks by `setImmediate` whether the GPU is done, over and over: where software Vulkan computes, that
 * takes a processor from it. Here Dawn asks once a millisecond.
 */
const immediate = globalThis.setImmediate;

/** Dawn's callback is a native function without a name; a bound one has a name. */
const isOfDawn = (callback) =>
  typeof callback === "function" &&
  callback.name === "" &&
  Function.prototype.toString.call(callback) === "function () { [native code] }";

const rest = (callback, ...args) =>
  isOfDawn(callback) ? setTimeout(callback, 1) : immediate(callback, ...args);

globalThis.setImmediate = Object.assign(rest, immediate);
