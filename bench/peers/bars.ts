import {
  mebibytes,
  milliseconds,
  percent,
  tableHead,
  tableRow,
  text,
  threeDigits,
} from "../../measure/table.ts";
import { median } from "../../measure/timing.ts";
import type { ContestantName } from "./contestant.ts";
import type { PeersReport, Phase } from "./report.ts";

/** The bars of the CPU engine with base, beside its peers. */
interface Bar {
  readonly what: string;
  /** Undefined where this run does not tell. */
  readonly seen: number | undefined;
  readonly bar: number;
  readonly stretch: number | undefined;
  /** Whether less is better. */
  readonly isMost: boolean;
  readonly format: (value: number) => string;
}

/** From this version of Node on, 8-bit products are compiled to the processor's own instruction. */
const NODE_OF_8_BITS = 24;
/** Software Vulkan that reaches no more than this, in GFLOP/s, has to be left behind further. */
const SLOW_SOFTWARE = 12;

const times = (value: number) => `${threeDigits(value)} times`;
const seconds = (value: number) => `${milliseconds(value)} ms`;

/** The bars of a run without a GPU, and what it saw. */
function barsOf(report: PeersReport): Bar[] {
  /** Median over the rounds of one contestant's time over another's. */
  const ratio = (phase: Phase, of: ContestantName, over: ContestantName) => {
    const timesOf = (name: ContestantName) =>
      report.rows.find((row) => row.phase === phase && row.contestant === name)?.times;
    const [a, b] = [timesOf(of), timesOf(over)];
    return a && b && median(a.map((ms, round) => ms / b[round]!));
  };
  const memory = (name: ContestantName) =>
    report.contestants.find((contestant) => contestant.name === name)?.peakBytes;
  const [f16Bytes, peerBytes] = [memory("CPU engine, f16"), memory("ONNX Runtime, CPU")];
  const { products, firstAnswers } = report;
  const before = report.rows.find(
    ({ phase, contestant }) => phase === "vision and encoder" && contestant === "software Vulkan of before",
  );
  const beforeSpeed = before && products && (1000 * products.gigaflop) / before.ms;
  const isSlow = beforeSpeed !== undefined && beforeSpeed <= SLOW_SOFTWARE;
  const has8Bits = Number(/v(\d+)/.exec(report.origin.runtime)?.[1]) >= NODE_OF_8_BITS;
  const atLeast = { isMost: false, format: times };
  const atMost = { isMost: true, format: times };
  return [
    {
      what: "matrix products: share of what multiply-adds of the engine reach, by work",
      seen: products?.shareOfMultiplyAdd,
      bar: 0.75,
      stretch: 0.9,
      isMost: false,
      format: percent,
    },
    {
      what: `image to cross keys, f32: how many times as fast as software Vulkan of before${beforeSpeed === undefined ? "" : `, which reaches ${threeDigits(beforeSpeed)} GFLOP/s`}`,
      seen: ratio("vision and encoder", "software Vulkan of before", "CPU engine, f32"),
      bar: isSlow ? 5 : 2.5,
      stretch: isSlow ? 8 : 4,
      ...atLeast,
    },
    {
      what: "image to cross keys, f32: how many times as fast as ONNX Runtime, WASM",
      seen: ratio("vision and encoder", "ONNX Runtime, WASM", "CPU engine, f32"),
      bar: 2,
      stretch: 3,
      ...atLeast,
    },
    {
      what: "image to cross keys, f32: time over that of ONNX Runtime, CPU",
      seen: ratio("vision and encoder", "CPU engine, f32", "ONNX Runtime, CPU"),
      bar: 2,
      stretch: 1.2,
      ...atMost,
    },
    {
      what: "each further token, f16: time over that of ONNX Runtime, CPU, f32",
      seen: ratio("each further token", "CPU engine, f16", "ONNX Runtime, CPU"),
      bar: 1.2,
      stretch: 1,
      ...atMost,
    },
    {
      what: `whole caption, q8: time over that of ONNX Runtime, CPU, f32 (Node ${NODE_OF_8_BITS}, processor with VNNI)`,
      seen: has8Bits ? ratio("whole caption", "CPU engine, q8", "ONNX Runtime, CPU") : undefined,
      bar: 1,
      stretch: 0.5,
      ...atMost,
    },
    {
      what: "first answer of the bundled model in a fresh process, loading included",
      seen: firstAnswers && median(firstAnswers),
      bar: 1000,
      stretch: 500,
      isMost: true,
      format: seconds,
    },
    {
      what: `memory of the process, f16: share of that of ONNX Runtime, CPU${peerBytes === undefined ? "" : ` (${mebibytes(peerBytes)} MiB)`}`,
      seen: f16Bytes && peerBytes && f16Bytes / peerBytes,
      bar: 0.6,
      stretch: undefined,
      isMost: true,
      format: percent,
    },
  ];
}

const COLUMNS = [
  text<Bar>("bar", 100, ({ what }) => what),
  text<Bar>("wanted", 18, ({ bar, isMost, format }) => `${isMost ? "at most" : "at least"} ${format(bar)}`),
  text<Bar>("hoped for", 10, ({ stretch, format }) => (stretch === undefined ? "-" : format(stretch))),
  text<Bar>("seen", 10, ({ seen, format }) => (seen === undefined ? "not in this run" : format(seen))),
  text<Bar>("reached", 10, ({ seen, bar, stretch, isMost }) => {
    if (seen === undefined) return "-";
    const reaches = (value: number) => (isMost ? seen <= value : seen >= value);
    if (!reaches(bar)) return "no";
    return stretch !== undefined && reaches(stretch) ? "yes, more" : "yes";
  }),
];

/** The table of the bars, as Markdown. */
export function barsTable(report: PeersReport): string {
  return [tableHead(COLUMNS), ...barsOf(report).map((bar) => tableRow(COLUMNS, bar))].join("\n");
}
