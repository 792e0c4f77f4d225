export { florenceTokens } from "./added_tokens.ts";
export type { DecodeStream } from "./decode_stream.ts";
export type { TokenizerFiles } from "./files.ts";
export { type DecodedTokens, type DecodeOptions, type EncodeOptions, Tokenizer } from "./tokenizer.ts";
