/** What a page can use, for the one file that needs no bundler: `dist/florence2.browser.js`. */
export { type DrawOptions, drawAnswer } from "./draw/svg.ts";
export { type CachedModel, cachedModels, deleteCachedModel } from "./files/hub/browser_models.ts";
export * from "./index.ts";
export { Tokenizer } from "./tokenizer/index.ts";
