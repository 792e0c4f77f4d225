/** The time of the first answer in a fresh process: this module starts the process, and is its program. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { BUNDLED_IMAGE, BUNDLED_MODEL } from "../../commands/bundled.ts";
import { Florence2 } from "../../model/florence2.ts";

/**
 * Milliseconds from the start of a process until it has captioned the bundled image by the bundled model, on the CPU
 * engine; once a round.
 */
export async function timeFirstAnswers(rounds: number, threads: number): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const child = fork(fileURLToPath(import.meta.url), [String(threads)]);
    const [caption] = await Promise.race([
      once(child, "message"),
      once(child, "exit").then(([code]) => {
        throw new Error(`the process of the first answer ended with exit ${code}`);
      }),
    ]);
    times.push(performance.now() - start);
    if (typeof caption !== "string" || caption === "") throw new Error("the first answer is empty");
    child.kill();
  }
  return times;
}

/** Called in the process of its own. */
async function answer(): Promise<void> {
  const model = await Florence2.fromPretrained(BUNDLED_MODEL, {
    device: "cpu",
    threads: Number(process.argv[2]),
  });
  const { text } = await model.run(BUNDLED_IMAGE, "<CAPTION>");
  process.send!(text);
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send) await answer();
