import { RADII } from "./locations.ts";
import { LOWEST } from "./vocabulary.ts";

/** Words of a candidate: what it is ranked by (f32), its token (u32), the score of the token alone (f32), 1 if it ends (u32). */
export const CANDIDATE = 4;

/** Words of a row of the trace, and the first of its masses. */
export const TRACE_ROW = 12 + RADII;
export const MASSES = 12;

/** An answer that ended. */
export interface Ended {
  /** Counts from 0, as new tokens do. */
  readonly step: number;
  /** The row of the step before that the answer continued. */
  readonly parent: number;
  /** Its last token. */
  readonly token: number;
  readonly logProb: number;
  /** Sum of the log-probabilities over (new tokens)^lengthPenalty. */
  readonly score: number;
}

/**
 * What one step of a search decided for one row. A search's rows are its beams in descending score, and
 * beside them, independent of the beams, its best ended answers in descending score.
 */
export interface TraceRow {
  /** The newest token of this beam. */
  readonly token: number;
  /** The row of the step before that it continues. */
  readonly parent: number;
  readonly logProb: number;
  /** Sum of the log-probabilities; `LOWEST` where there is no beam. */
  readonly score: number;
  /** Its score is `LOWEST` where there is none. */
  readonly ended: Ended;
  /** 1 once nothing can change the answers of this row's search. */
  readonly done: number;
  /** The first logit that was not finite and its token, -1 if all were. */
  readonly brokenToken: number;
  readonly brokenLogit: number;
  /**
   * Of a token that is a location: probability of the locations within each radius around it (locations.ts). All 0 of
   * other tokens, and where it was not requested.
   */
  readonly masses: readonly number[];
}

/** Before the first step. */
export const EMPTY_ROW: TraceRow = {
  token: 0,
  parent: 0,
  logProb: 0,
  score: LOWEST,
  ended: { step: 0, parent: 0, token: 0, logProb: 0, score: LOWEST },
  done: 0,
  brokenToken: -1,
  brokenLogit: 0,
  masses: Array<number>(RADII).fill(0),
};

/** Row `index` of a trace: u32 words, floats by their bits. */
export function readTraceRow(trace: Uint32Array, index: number): TraceRow {
  const words = trace.subarray(index * TRACE_ROW, (index + 1) * TRACE_ROW);
  const floats = new Float32Array(words.buffer, words.byteOffset, TRACE_ROW);
  return {
    token: words[0]!,
    parent: words[1]!,
    logProb: floats[2]!,
    score: floats[3]!,
    ended: {
      step: words[4]!,
      parent: words[5]!,
      token: words[6]!,
      logProb: floats[7]!,
      score: floats[8]!,
    },
    done: words[9]!,
    brokenToken: floats[10]!,
    brokenLogit: floats[11]!,
    masses: Array.from(floats.subarray(MASSES, TRACE_ROW)),
  };
}

export function writeTraceRow(trace: Uint32Array, index: number, row: TraceRow): void {
  const words = trace.subarray(index * TRACE_ROW, (index + 1) * TRACE_ROW);
  const floats = new Float32Array(words.buffer, words.byteOffset, TRACE_ROW);
  const { ended } = row;
  words.set([row.token, row.parent], 0);
  floats.set([row.logProb, row.score], 2);
  words.set([ended.step, ended.parent, ended.token], 4);
  floats.set([ended.logProb, ended.score], 7);
  words[9] = row.done;
  floats.set([row.brokenToken, row.brokenLogit, ...row.masses], 10);
}
