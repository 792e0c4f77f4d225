// What becomes of the candidates of a search: the order in which they are taken, and their places among beams and
// ended answers.
//
// uses best_of_lanes: LANES
// uses search_step: Beam, NONE, beams, candidates, chosen, ended, lengths, new_beams, new_ended, old_scores, params, trace
// uses search_trace: Ended
// uses vocabulary: Best, LOWEST, is_better

// The best candidate of this lane's lists after the last one that was taken.
fn best_of_lists(search: u32, taken: Best, lane: u32) -> Best {
  let lists = params.width * params.slices;
  var best = Best(LOWEST, NONE);
  for (var list = lane; list < lists; list += LANES) {
    for (var i = 0u; i < params.best; i++) {
      let index = list * params.best + i;
      let candidate = Best(candidates[search * lists * params.best + index].key, index);
      if (is_better(taken, candidate)) {
        if (is_better(candidate, best)) {
          best = candidate;
        }
        break;
      }
    }
  }
  return best;
}

// The fate of candidate `i`: beam, ended answer, or neither.
fn look_at_candidate(i: u32, first_row: u32, step: u32, normalizer: vec2f) {
  let row = first_row + chosen[i].index / (params.best * params.slices);
  let candidate = candidates[first_row * params.slices * params.best + chosen[i].index];
  let log_prob = (candidate.score - normalizer.x) - normalizer.y;
  var score = log_prob;
  if (step > 0u) {
    score += trace[(step - 1u) * params.rows + row].score;
  }
  let generated = step + 1u;
  if (candidate.ends == 0u && generated < params.maximum) {
    new_beams[i] = Beam(candidate.token, row, log_prob, score);
  } else if (i < params.width) {
    // An end that ranks below the width is not worth keeping: so many better beams are still running.
    new_ended[i] = Ended(step, row, candidate.token, log_prob, score / lengths[generated]);
  }
}

// How many of the new beams go before one.
fn place_of_beam(i: u32) -> u32 {
  var place = 0u;
  for (var k = 0u; k < params.best; k++) {
    let before = new_beams[k].score > new_beams[i].score || (new_beams[k].score == new_beams[i].score && k < i);
    place += select(0u, 1u, before);
  }
  return place;
}

// How many ended answers, old and new, go before one: the old first of equal ones.
fn place_of_new_ended(i: u32) -> u32 {
  var place = 0u;
  for (var k = 0u; k < params.width; k++) {
    let before = new_ended[k].score > new_ended[i].score || (new_ended[k].score == new_ended[i].score && k < i);
    place += select(0u, 1u, before) + select(0u, 1u, old_scores[k] >= new_ended[i].score);
  }
  return place;
}

fn place_of_old_ended(i: u32) -> u32 {
  var place = i;
  for (var k = 0u; k < params.width; k++) {
    place += select(0u, 1u, new_ended[k].score > old_scores[i]);
  }
  return place;
}

// Whether a beam may still end up among the best answers, by the reference's rule of thumb.
fn can_improve(generated: u32) -> bool {
  let best = beams[0].score;
  let worst_ended = ended[params.width - 1u].score;
  if (best == LOWEST || worst_ended == LOWEST) {
    return best > LOWEST;
  }
  let length = select(params.bound, generated, params.bound == 0u);
  return params.stop_early == 0u && best / lengths[length] > worst_ended;
}
