const WIDTH = 30;

/** A bar on stderr, redrawn in place; where that is no terminal, a line for every tenth. */
export class ProgressBar {
  readonly #started = performance.now();
  #tenths = 0;

  /** Of `total` prompts. */
  show(done: number, total: number): void {
    const share = done / total;
    const passed = (performance.now() - this.#started) / 1000;
    const filled = "#".repeat(Math.floor(share * WIDTH)).padEnd(WIDTH, "-");
    const left = clock((passed / done) * (total - done));
    const line = `[${filled}] ${done}/${total} prompts, ${(done / passed).toFixed(1)}/s, ${left} left`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\x1b[K${line}${done === total ? "\n" : ""}`);
    } else if (Math.floor(share * 10) > this.#tenths) {
      this.#tenths = Math.floor(share * 10);
      process.stderr.write(`${line}\n`);
    }
  }
}

function clock(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
