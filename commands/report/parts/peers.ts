import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFile } from "../../../files/package_files.ts";
import { figure, milliseconds, text } from "../../../measure/table.ts";
import type { Part } from "../part.ts";
import { list, table } from "../words.ts";

interface Row {
  readonly phase: string;
  readonly contestant: string;
  readonly ms: number;
  readonly ratio: number;
}

const COLUMNS = [
  text<Row>("phase", 20, ({ phase }) => phase),
  text<Row>("by", 28, ({ contestant }) => contestant),
  figure<Row>("ms", ({ ms }) => milliseconds(ms)),
  figure<Row>("of ours", ({ ratio }) => ratio.toPrecision(3)),
];

/** The program that has both answer the same question; it is in a checkout only. */
const PROGRAM = packageFile("bench/peers/main.ts");
const PYTHON =
  "import torch, transformers; assert torch.cuda.is_available(); transformers.Florence2ForConditionalGeneration";

const part: Part = {
  title: "Beside transformers in PyTorch on CUDA, base in f16",
  weight: 14,
  async run({ device, secondsLeft, item, add, tell, absent }) {
    if (device !== "gpu") return absent("the report is of the CPU");
    if (!existsSync(PROGRAM) || !import.meta.url.endsWith(".ts"))
      return absent("the program is not in the package, only in a checkout: node cli.ts report");
    const python = process.env.FLORENCE2_REFERENCE_PYTHON || "python3";
    const { status, stderr, error } = spawnSync(python, ["-c", PYTHON], {
      encoding: "utf8",
      timeout: Math.ceil(1000 * secondsLeft()),
    });
    if (status !== 0) {
      const reason = error?.message ?? stderr.trim().split("\n").at(-1) ?? "";
      return absent(`${python} has no PyTorch with CUDA, and transformers with Florence-2 (${reason})`);
    }
    for (const how of ["eager", "compiled"]) {
      await item(`PyTorch, ${how}`, async () => {
        const { rows, contestants, absent: others } = await compete(python, `PyTorch, CUDA, ${how}`);
        tell(Object.fromEntries(contestants.map(({ name, version }) => [name, version])));
        tell(Object.fromEntries(others.map(({ name, reason }) => [name, `absent: ${reason}`])));
        for (const row of rows) add({ beside: how, ...row });
      });
    }
  },
  inWords({ facts, rows }) {
    return `A greedy caption of 20 tokens, the same image and weights, in turn. A ratio above 1: ours is faster.\n\n${list(facts)}\n\n${table(COLUMNS, rows as unknown as readonly Row[])}`;
  },
};
export default part;

interface Comparison {
  readonly rows: readonly Row[];
  readonly contestants: readonly { readonly name: string; readonly version: string }[];
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
}

/** Runs the program that has this library and a peer answer in turn. */
async function compete(python: string, peer: string): Promise<Comparison> {
  const results = mkdtempSync(join(tmpdir(), "florence2-peers-"));
  try {
    const args = [
      PROGRAM,
      "--device",
      "gpu",
      "--size",
      "base",
      "--dtype",
      "f16",
      "--only",
      peer,
      "--results",
      results,
    ];
    const env = { ...process.env, FLORENCE2_REFERENCE_PYTHON: python };
    const stdio = ["ignore", "ignore", "pipe"] as const;
    const child = spawn(process.execPath, args, { cwd: packageFile("."), env, stdio: [...stdio] });
    let words = "";
    child.stderr!.setEncoding("utf8").on("data", (text) => {
      words += text;
    });
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0)
      throw new Error(`The comparison ended with exit ${code}: ${words.trim().split("\n").at(-1)}`);
    const files = readdirSync(results, { recursive: true, encoding: "utf8" });
    const file = files.find((name) => name.endsWith(".json"))!;
    return JSON.parse(readFileSync(join(results, file), "utf8")) as Comparison;
  } finally {
    rmSync(results, { recursive: true });
  }
}
