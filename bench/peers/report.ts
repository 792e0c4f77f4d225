import { Florence2Error } from "../../core/errors.ts";
import type { ProductSpeed } from "../../measure/cpu_profile.ts";
import type { Origin } from "../../measure/origin.ts";
import {
  type Column,
  figure,
  mebibytes,
  milliseconds,
  tableHead,
  tableRow,
  text,
  threeDigits,
} from "../../measure/table.ts";
import { median } from "../../measure/timing.ts";
import type { WeightsDtype } from "../../model/weights/loader.ts";
import { barsTable } from "./bars.ts";
import { CAPTION_PHASES } from "./contestant.ts";

/** Times that are taken once, before the rounds: from files to memory, and a caption while shaders are compiled. */
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
  /** Milliseconds, one a round; their median, least and most. */
  readonly times: readonly number[];
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
  /** The dtype of our weights. */
  readonly dtype: WeightsDtype;
  /** Tokens of ours that are submitted together with the first. */
  readonly firstTokens: number;
  readonly rounds: number;
  readonly contestants: readonly (Entrant & { readonly peakRatio: number })[];
  /** Who could not take part, and why. */
  readonly absent: readonly { readonly name: string; readonly reason: string }[];
  readonly rows: readonly PeerRow[];
  /** Without a GPU: milliseconds until a fresh process has its first answer of the bundled model. */
  readonly firstAnswers?: readonly number[];
  /** Without a GPU: how fast matrix products are, from the image to the cross keys. */
  readonly products?: ProductSpeed;
}

/** @throws {Florence2Error} `data_invalid` if a contestant gives other tokens than ours, or of rounded weights not as many: its times mean nothing then */
export function checkTokens(
  { name, isRounded = false }: { readonly name: string; readonly isRounded?: boolean },
  found: readonly number[],
  ours: readonly number[],
): void {
  const same = sharedTokens(found, ours);
  if (found.length === ours.length && (isRounded || same === ours.length)) return;
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
        times: own,
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

/** A line for each phase: our time, and the others' as multiples of it. */
function columnsOf(names: readonly string[]): Column<readonly PeerRow[]>[] {
  const [ours, ...others] = names;
  const spread = (middle: string, least: string, most: string) =>
    least === most ? middle : `${middle} (${least} to ${most})`;
  const cellOf = (name: string, cell: (row: PeerRow) => string) => (rows: readonly PeerRow[]) =>
    cell(rows.find(({ contestant }) => contestant === name)!);
  return [
    text("phase", 18, ([first]) => first!.phase),
    wideFigure(
      `${ours}, ms`,
      cellOf(ours!, ({ ms, fastest, slowest }) =>
        spread(milliseconds(ms), milliseconds(fastest), milliseconds(slowest)),
      ),
    ),
    ...others.map((name) =>
      wideFigure(
        name,
        cellOf(name, ({ ratio, leastRatio, mostRatio }) =>
          spread(threeDigits(ratio), threeDigits(leastRatio), threeDigits(mostRatio)),
        ),
      ),
    ),
  ];
}

/** Room for a figure with its spread. */
const wideFigure = <Row>(title: string, cell: (row: Row) => string) => figure(title.padStart(24), cell);

/** The table as Markdown, with device, dtypes, commit and date. */
export function peersSection(report: PeersReport): string {
  const { origin, model, tokens, dtype, firstTokens, rounds, contestants, absent, rows } = report;
  const { processor, processors, load, runtime, commit, date } = origin;
  const adapter = report.firstAnswers ? `${origin.adapter} on ${processor}` : origin.adapter;
  const head = `**${model}** beside its peers, a greedy caption of ${tokens} tokens, ${rounds === 1 ? "one round" : `${rounds} rounds in turn`}: ${adapter}, ${runtime}, ${processors} processors with a load of ${load.toFixed(1)} before it began, ${commit}, ${date.slice(0, 10)}. Of the others, times as multiples of ours in the same round: above 1, ours is faster. Ours holds the weights in ${dtype}, the others in f32 unless they say so; its first token comes with ${firstTokens - 1} more.`;
  const memory = contestants.map(({ name, version, peakBytes, peakRatio, sameTokens }, i) => {
    const used = `${name}: ${version}; at most ${mebibytes(peakBytes)} MiB in its process`;
    if (i === 0) return `- ${used}`;
    const same = sameTokens < tokens ? `the first ${sameTokens}` : "all";
    return `- ${used}, ${threeDigits(peakRatio)} of ours; ${same} of its tokens are ours`;
  });
  const missing = absent.map(({ name, reason }) => `- ${name}: could not take part, ${reason}`);
  const columns = columnsOf(contestants.map(({ name }) => name));
  const table = [
    tableHead(columns),
    ...PHASES.map((phase) =>
      tableRow(
        columns,
        rows.filter((row) => row.phase === phase),
      ),
    ),
  ];
  const sections = [head, table.join("\n"), [...memory, ...missing].join("\n")];
  // The bars are for base.
  if (report.firstAnswers && model === "base") sections.push(barsTable(report));
  return sections.join("\n\n");
}
