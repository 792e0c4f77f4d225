import { originOf } from "../../measure/origin.ts";
import { FIRST_STEPS } from "../../model/decoding_session.ts";
import type { Caption, ContestantName, Question } from "./contestant.ts";
import { ContestantProcess } from "./process.ts";
import { checkTokens, compare, type PeersReport, type Phase, sharedTokens } from "./report.ts";

/**
 * Opens everyone, has each caption once untimed, and then in rounds, one after the other. Gives a report after each
 * round, so that a run that is stopped has one.
 *
 * @param names this library first: the others are compared with it
 * @throws {Florence2Error} if this library cannot take part, or someone gives other tokens
 */
export async function* compete(
  model: string,
  question: Question,
  rounds: number,
  names: readonly ContestantName[],
  say: (message: string) => void,
): AsyncGenerator<PeersReport> {
  const entrants: { contestant: ContestantProcess; first: Caption; captions: Caption[] }[] = [];
  const absent: { name: string; reason: string }[] = [];
  try {
    for (const name of names) {
      say(`${name}: loads, compiles, and captions for the first time`);
      let contestant: ContestantProcess | undefined;
      try {
        contestant = await ContestantProcess.open(name, question);
        const first = await contestant.caption();
        if (entrants.length > 0) checkTokens(contestant, first.tokens, entrants[0]!.first.tokens);
        entrants.push({ contestant, first, captions: [] });
      } catch (error) {
        contestant?.end();
        if (name === names[0] || contestant) throw error;
        say((error as Error).message);
        absent.push({ name, reason: (error as Error).message.replace(`${name}: `, "") });
      }
    }
    const origin = originOf(entrants[0]!.contestant.version);
    const ours = entrants[0]!.first.tokens;
    for (let round = 1; round <= rounds; round++) {
      for (const { contestant, captions } of entrants) {
        const caption = await contestant.caption();
        captions.push(caption);
        say(
          `round ${round} of ${rounds}: ${contestant.name}, ${caption.times["whole caption"].toFixed(0)} ms`,
        );
      }
      const outcomes = entrants.map(
        ({ contestant: { name, version, peakBytes, loadMs }, first, captions }) => {
          const sameTokens = sharedTokens(first.tokens, ours);
          const timesOf = (phase: Phase) => {
            if (phase === "load") return [loadMs];
            if (phase === "first caption") return [first.times["whole caption"]];
            return captions.map(({ times }) => times[phase]);
          };
          return { name, version, peakBytes, sameTokens, timesOf };
        },
      );
      const { tokens, dtype } = question;
      const asked = { model, tokens, dtype, firstTokens: FIRST_STEPS, rounds: round };
      yield { part: "peers", origin, ...asked, absent, ...compare(outcomes) };
    }
  } finally {
    for (const { contestant } of entrants) contestant.end();
  }
}
