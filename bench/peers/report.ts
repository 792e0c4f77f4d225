import { Florence2Error } from "../../core/errors.ts";
import type { WeightsDtype } from "../../model/weights.ts";
import { median } from "../measure.ts";
import type { Origin } from "../report.ts";
import {
  type Column,
  figure,
  mebibytes,
  milliseconds,
  tableHead,
  tableRow,
  text,
  threeDigits,
} from "../table.ts";
import { CAPTION_PHASES } from "./contestant.ts";

/** What is timed once, before the rounds: from files to memory, and a caption while shaders are compiled. */
export const PHASES = ["load", "first caption", ...CAPTION_PHASES] as const;
export type Phase = (typeof PHASES)[number];

interface Entrant {
  readonly name: string;
  readonly version: string;
  /** The most memory of its process, in bytes; a software adapter's own is in it. */
  readonly peakBytes: number;
  /** Its first tokens that are ours. */
  readonly sameTokens: number;
}

export interface Outcome extends Entrant {
  /** Milliseconds, one a round. */
  readonly timesOf: (phase: Phase) => readonly number[];
}

/** One phase of one contestant. A ratio is its time over ours in the same round: above 1, ours is faster. */
export interface PeerRow {
  readonly phase: Phase;
  readonly contestant: string;
  /** Milliseconds: median, least and most of the rounds. */
  readonly ms: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly ratio: number;
  readonly leastRatio: number;
  readonly mostRatio: number;
}

export interface PeersReport {
  readonly part: "peers";
  readonly origin: Origin;
  readonly model: string;
  readonly tokens: number;
  /** What ours held the weights in. */
  readonly dtype: WeightsDtype;
  /** Tokens of ours that are submitted together with the first. */
  readonly firstTokens: number;
  readonly rounds: number;
  readonly contestants: readonly (Entrant & { readonly peakRatio: number })[];
  /** Who could not take part, and why. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
  readonly rows: readonly PeerRow[];
}

/** @throws {Florence2Error} `data_invalid` if a contestant gives other tokens than ours, or in half precision not as many: its times mean nothing then */
export function checkTokens(
  { name, isHalf = false }: { readonly name: string; readonly isHalf?: boolean },
  found: readonly number[],
  ours: readonly number[],
): void {
  const same = sharedTokens(found, ours);
  if (found.length === ours.length && (isHalf || same === ours.length)) return;
  throw new Florence2Error(
    "data_invalid",
    `${name} gives other tokens than this library, so its times can't be compared: ${found.join(" ")} instead of ${ours.join(" ")}`,
    { name, found, ours },
  );
}

/** How many tokens are the same from the start. */
export function sharedTokens(found: readonly number[], ours: readonly number[]): number {
  const different = ours.findIndex((token, i) => token !== found[i]);
  return different < 0 ? ours.length : different;
}

/** Everyone beside the first, phase by phase: rounds are compared with the same round. */
export function compare(outcomes: readonly Outcome[]): Pick<PeersReport, "contestants" | "rows"> {
  const ours = outcomes[0]!;
  const rows = PHASES.flatMap((phase) =>
    outcomes.map(({ name, timesOf }): PeerRow => {
      const own = timesOf(phase);
      const ratios = own.map((ms, round) => ms / ours.timesOf(phase)[round]!);
      return {
        phase,
        contestant: name,
        ms: median(own),
        fastest: Math.min(...own),
        slowest: Math.max(...own),
        ratio: median(ratios),
        leastRatio: Math.min(...ratios),
        mostRatio: Math.max(...ratios),
      };
    }),
  );
  const contestants = outcomes.map(({ name, version, peakBytes, sameTokens }) => {
    return { name, version, peakBytes, sameTokens, peakRatio: peakBytes / ours.peakBytes };
  });
  return { contestants, rows };
}

const COLUMNS: readonly Column<PeerRow>[] = [
  text("phase", 18, ({ phase }) => phase),
  text("", 23, ({ contestant }) => contestant),
  figure("ms", ({ ms }) => milliseconds(ms)),
  figure("fastest", ({ fastest }) => milliseconds(fastest)),
  figure("slowest", ({ slowest }) => milliseconds(slowest)),
  figure("of ours", ({ ratio }) => threeDigits(ratio)),
  figure("least", ({ leastRatio }) => threeDigits(leastRatio)),
  figure("most", ({ mostRatio }) => threeDigits(mostRatio)),
];

/** The table with what it needs to be read rightly, as Markdown. */
export function peersSection({
  origin,
  model,
  tokens,
  dtype,
  firstTokens,
  rounds,
  contestants,
  absent,
  rows,
}: PeersReport): string {
  const { adapter, processors, load, runtime, commit, date } = origin;
  const head = `**${model}** beside its peers, a greedy caption of ${tokens} tokens, ${rounds === 1 ? "one round" : `${rounds} rounds in turn`}: ${adapter}, ${runtime}, ${processors} processors with a load of ${load.toFixed(1)} before it began, ${commit}, ${date.slice(0, 10)}. Times as multiples of ours in the same round: above 1, ours is faster. Ours holds the weights in ${dtype}, the others in f32 unless they say so; its first token comes with ${firstTokens - 1} more.`;
  const memory = contestants.map(({ name, version, peakBytes, peakRatio, sameTokens }, i) => {
    const used = `${name}: ${version}; at most ${mebibytes(peakBytes)} MiB in its process`;
    if (i === 0) return `- ${used}`;
    const same = sameTokens < tokens ? `the first ${sameTokens}` : "all";
    return `- ${used}, ${threeDigits(peakRatio)} of ours; ${same} of its tokens are ours`;
  });
  const missing = absent.map(({ name, reason }) => `- ${name}: could not take part, ${reason}`);
  const table = [tableHead(COLUMNS), ...rows.map((row) => tableRow(COLUMNS, row))];
  return `${head}\n\n${table.join("\n")}\n\n${[...memory, ...missing].join("\n")}`;
}
