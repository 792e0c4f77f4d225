import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ErrorCode, Florence2Error } from "../../core/errors.ts";
import type { Caption, ContestantName, Question } from "./contestant.ts";
import type { Reply, Request } from "./entry.ts";

/** A contestant in a process of its own, so that its memory can be measured and it does not disturb the others. */
export class ContestantProcess {
  readonly name: ContestantName;
  readonly #process: ChildProcess;
  version = "";
  loadMs = 0;
  isRounded = false;
  /** Up to the last caption, in bytes. */
  peakBytes = 0;

  /** @throws {Florence2Error} if it cannot take part, saying why: its own code, `dependency_missing` for a peer */
  static async open(name: ContestantName, question: Question): Promise<ContestantProcess> {
    const contestant = new ContestantProcess(name);
    try {
      const reply = await contestant.#ask({ open: name, question });
      if ("opened" in reply) {
        contestant.version = reply.opened;
        contestant.loadMs = reply.ms;
        contestant.isRounded = reply.isRounded;
      }
      return contestant;
    } catch (error) {
      contestant.end();
      throw error;
    }
  }

  private constructor(name: ContestantName) {
    this.name = name;
    const entry = import.meta.url.replace(/process(\.[jt]s)$/, "entry$1");
    this.#process = fork(fileURLToPath(entry), [], { serialization: "advanced" });
  }

  async caption(): Promise<Caption> {
    const reply = await this.#ask("caption");
    if (!("caption" in reply)) throw new Error(`${this.name} gave no caption`);
    this.peakBytes = reply.peakBytes;
    return reply.caption;
  }

  end(): void {
    this.#process.kill();
  }

  #ask(request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const fail = (reason: string, code: ErrorCode = "dependency_missing") =>
        reject(new Florence2Error(code, `${this.name}: ${reason}`, { contestant: this.name }));
      const onExit = (code: number | null, signal: string | null) =>
        fail(`its process ended with ${signal ?? `exit ${code}`}`);
      this.#process.once("exit", onExit);
      this.#process.once("message", (reply: Reply) => {
        this.#process.off("exit", onExit);
        if ("error" in reply) fail(reply.error, reply.code);
        else resolve(reply);
      });
      this.#process.send(request);
    });
  }
}
