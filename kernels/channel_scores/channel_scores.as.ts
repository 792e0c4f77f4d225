// The first pass normalises the tokens. In chunks of many tokens, the second one makes their Gram matrix XᵀX, a block of
// its rows a unit, and the last one makes the scores of a group a unit of it: QᵀK = Wq XᵀX Wkᵀ takes a quarter of the
// work, since XᵀX is symmetric. In chunks of few tokens, a unit makes the queries and keys of a group.
import { local, scratch } from "../shared/memory.as";
import { norm_units, NORM_ROWS, normalize_rows } from "../shared/norm.as";
import { PANEL } from "../shared/weights.as";
import { scores_by_tokens } from "./by_tokens.as";
import { center_of, gram_blocks, gram_bytes, gram_rows, normalize_into_panels, scores_by_gram } from "./gram.as";

/** By its matrix, C channels take C² operations a token and 2 C³ more, otherwise 4 C² a token. */
// @ts-ignore: decorator
@inline
function is_by_gram(chunk: u32, C: u32): bool {
  return chunk >= C && C % PANEL == 0;
}

function chunks_of(tokens: u32, chunk: u32): u32 {
  return (tokens + chunk - 1) / chunk;
}

/** Where the matrix of a chunk begins: behind the tokens. */
function gram_of(index: u32, tokens: u32, C: u32): usize {
  return scratch + <usize>tokens * C * 4 + index * gram_bytes(C);
}

export function channel_scores_scratch(weight_format: u32, tokens: u32, chunk: u32, groups: u32, D: u32): u32 {
  const C = groups * D;
  const rows = 4 * tokens * C;
  return is_by_gram(chunk, C) ? rows + chunks_of(tokens, chunk) * <u32>gram_bytes(C) : rows;
}

export function channel_scores_first_units(weight_format: u32, tokens: u32, chunk: u32, groups: u32, D: u32): u32 {
  return norm_units(tokens);
}

export function channel_scores_first(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  weight: usize,
  bias: usize,
  partials: usize,
  weight_format: u32,
  tokens: u32,
  chunk: u32,
  groups: u32,
  D: u32,
  begin: u32,
  end: u32,
): void {
  const C = groups * D;
  if (is_by_gram(chunk, C)) {
    const center = local + NORM_ROWS * C * 4;
    center_of(normed, norm_weight, norm_bias, tokens, C, local, center);
    normalize_into_panels(normed, norm_weight, norm_bias, center, tokens, chunk, C, scratch, begin, end);
    for (let index: u32 = 0; begin == 0 && index < chunks_of(tokens, chunk); index++)
      memory.copy(gram_of(index, tokens, C) + (C + 1) * C * 4, center, C * 4);
  } else normalize_rows(normed, norm_weight, norm_bias, tokens, C, scratch, begin, end);
}

export function channel_scores_second_units(weight_format: u32, tokens: u32, chunk: u32, groups: u32, D: u32): u32 {
  const C = groups * D;
  return is_by_gram(chunk, C) ? chunks_of(tokens, chunk) * gram_blocks(C) : 0;
}

export function channel_scores_second(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  weight: usize,
  bias: usize,
  partials: usize,
  weight_format: u32,
  tokens: u32,
  chunk: u32,
  groups: u32,
  D: u32,
  begin: u32,
  end: u32,
): void {
  const C = groups * D;
  const chunks = chunks_of(tokens, chunk);
  const blocks = gram_blocks(C);
  for (let unit = begin; unit < end; unit++) {
    const index = unit % chunks;
    const first = index * chunk;
    const x = scratch + <usize>first * C * 4;
    // The last blocks have most columns: they come first.
    gram_rows(x, min(chunk, tokens - first), C, blocks - 1 - unit / chunks, gram_of(index, tokens, C));
  }
}

export function channel_scores_units(weight_format: u32, tokens: u32, chunk: u32, groups: u32, D: u32): u32 {
  return chunks_of(tokens, chunk) * groups;
}

export function channel_scores(
  normed: usize,
  norm_weight: usize,
  norm_bias: usize,
  weight: usize,
  bias: usize,
  partials: usize,
  weight_format: u32,
  tokens: u32,
  chunk: u32,
  groups: u32,
  D: u32,
  begin: u32,
  end: u32,
): void {
  const C = groups * D;
  for (let unit = begin; unit < end; unit++) {
    const index = unit / groups;
    const group = unit % groups;
    const first = index * chunk;
    const count = min(chunk, tokens - first);
    const out = partials + <usize>(unit * D * D) * 4;
    if (is_by_gram(chunk, C))
      scores_by_gram(gram_of(index, tokens, C), count, weight, bias, weight_format, group, D, C, out);
    else
      scores_by_tokens(scratch + <usize>first * C * 4, count, weight, bias, weight_format, group, D, C, out);
  }
}
