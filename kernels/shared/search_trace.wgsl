// The data that the kernels of a search exchange; see search_trace.ts.

// A token that may come next: what candidates are ranked by, and the score of the token alone, and
// 1 if the token ends the answer.
struct Candidate {
  key: f32,
  token: u32,
  score: f32,
  ends: u32,
}

// An answer that ended: the row of the step before that it continued, and its last token.
struct Ended {
  step: u32,
  parent: u32,
  token: u32,
  log_prob: f32,
  score: f32,
}

// Distances in bins within which the probabilities of locations are added up; see locations.ts.
const RADII = 12u;

struct TraceRow {
  token: u32,
  parent: u32,
  log_prob: f32,
  score: f32,
  ended: Ended,
  done: u32,
  broken_token: f32,
  broken_logit: f32,
  masses: array<f32, RADII>,
}
