// The rules of generation: which tokens of a slice the row's answer bans or makes less likely, and what they score then.
//
// uses best_of_lanes: LANES
// uses rank_tokens: ancestry, end_tokens, forced_last, params, trace
// uses vocabulary: LOWEST, SLICE

// Stands for no token.
const NONE = 0xffffffffu;

var<workgroup> used: array<atomic<u32>, SLICE / 32u>;
var<workgroup> banned: array<atomic<u32>, SLICE / 32u>;

// Token `place` of the row's answer; 0 is the start token.
fn token_at(row: u32, place: u32) -> u32 {
  if (place == 0u) {
    return params.start_token;
  }
  return trace[(place - 1u) * params.rows + ancestry[row * params.capacity + place]].token;
}

// Marks in `used` what the answer contains, and in `banned` what would complete a run of `ngram` tokens that
// it contains.
fn mark_answer(row: u32, generated: u32, first: u32, lane: u32) {
  let length = generated + 1u;
  for (var place = lane; place < length; place += LANES) {
    let token = token_at(row, place);
    let bit = token - first;
    if (bit >= SLICE) {
      continue;
    }
    atomicOr(&used[bit / 32u], 1u << (bit % 32u));
    if (params.ngram == 0u || place + 1u < params.ngram) {
      continue;
    }
    // The tokens before this one against the last ones of the answer.
    var matched = 1u;
    while (matched < params.ngram && token_at(row, place - matched) == token_at(row, length - matched)) {
      matched++;
    }
    if (matched == params.ngram) {
      atomicOr(&banned[bit / 32u], 1u << (bit % 32u));
    }
  }
}

fn is_marked(word: u32, bit: u32) -> bool {
  return ((word >> (bit % 32u)) & 1u) != 0u;
}

// Whether a token ends the answer.
fn is_end(token: u32) -> bool {
  for (var i = 0u; i < params.end_count; i++) {
    if (end_tokens[i] == token) {
      return true;
    }
  }
  return false;
}

fn is_forced_last(token: u32) -> bool {
  for (var i = 0u; i < params.forced_count; i++) {
    if (forced_last[i] == token) {
      return true;
    }
  }
  return false;
}

// The score of a token after the rules, in the order of transformers' logits processors.
fn ruled(unruled: f32, token: u32, bit: u32, generated: u32) -> f32 {
  var score = unruled;
  if (params.penalty != 1.0 && is_marked(atomicLoad(&used[bit / 32u]), bit)) {
    score = select(score / params.penalty, score * params.penalty, score < 0.0);
  }
  if (is_marked(atomicLoad(&banned[bit / 32u]), bit)) {
    score = LOWEST;
  }
  if (generated < params.minimum && is_end(token)) {
    score = LOWEST;
  }
  if (generated == 0u && params.forced_first != NONE) {
    score = select(LOWEST, 0.0, token == params.forced_first);
  }
  if (generated == params.maximum - 1u && params.forced_count > 0u) {
    score = select(LOWEST, 0.0, is_forced_last(token));
  }
  return score;
}
