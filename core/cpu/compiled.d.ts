/** What scripts/compile_kernels.mjs makes of the kernels: modules of WebAssembly in base64. */
export const relaxed: string;
export const simd: string;
/** JavaScript. */
export const worker: string;
