import type { Bin } from "./metrics/reliability.ts";

/** From 0. */
interface Axis {
  readonly title: string;
  readonly to: number;
}

interface Bar {
  readonly from: number;
  readonly to: number;
  readonly height: number;
}

interface Line {
  readonly label: string;
  /** x, y. */
  readonly points: readonly (readonly [number, number])[];
  readonly dashed?: boolean;
  /** Shows each point as a dot. */
  readonly dotted?: boolean;
}

interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly bars?: readonly Bar[];
  readonly lines?: readonly Line[];
}

const [WIDTH, HEIGHT] = [480, 320];
const MARGIN = { left: 56, right: 16, top: 36, bottom: 48 };
const TICKS = 5;
const BAR_COLOUR = "#9db8d9";
const LINE_COLOURS = ["#d1495b", "#2e4057", "#66a182"];

/** Precision over recall at IoU 0.5, a line for each ranking. */
export function precisionRecallPlot(precisions: Readonly<Record<string, readonly number[]>>): string {
  return chart({
    title: "Precision over recall, IoU 0.5",
    x: { title: "recall", to: 1 },
    y: { title: "precision", to: 1 },
    lines: Object.entries(precisions).map(([label, values]) => ({
      label,
      points: values.map((value, i) => [i / (values.length - 1), value] as const),
    })),
  });
}

/** Reliability diagram: how often boxes of each confidence are right, beside the diagonal of perfect ones. */
export function reliabilityPlot(bins: readonly Bin[]): string {
  const filled = bins.filter(({ count }) => count > 0);
  return chart({
    title: `Reliability of ${filled.reduce((sum, { count }) => sum + count, 0)} boxes`,
    x: { title: "confidence", to: 1 },
    y: { title: "share that is right", to: 1 },
    bars: filled.map(({ from, to, accuracy }) => ({ from, to, height: accuracy })),
    lines: [
      {
        label: "perfect",
        points: [
          [0, 0],
          [1, 1],
        ],
        dashed: true,
      },
      {
        label: "mean confidence of a bin",
        points: filled.map(({ confidence, accuracy }) => [confidence, accuracy] as const),
        dotted: true,
      },
    ],
  });
}

/** How often the values of a figure occur, in twenty steps. */
export function histogram(title: string, name: string, values: readonly number[]): string {
  const steps = 20;
  const max = Math.max(1, ...values.map(Math.ceil));
  const counts = new Array<number>(steps).fill(0);
  for (const value of values) counts[Math.min(Math.floor((value / max) * steps), steps - 1)]!++;
  const bars = counts.map((height, i) => ({
    from: (i * max) / steps,
    to: ((i + 1) * max) / steps,
    height,
  }));
  return chart({
    title,
    x: { title: name, to: max },
    y: { title: "prompts", to: Math.ceil(Math.max(1, ...counts) / TICKS) * TICKS },
    bars,
  });
}

function chart({ title, x, y, bars = [], lines = [] }: Chart): string {
  const [right, bottom] = [WIDTH - MARGIN.right, HEIGHT - MARGIN.bottom];
  const across = (value: number) => MARGIN.left + (value / x.to) * (right - MARGIN.left);
  const up = (value: number) => bottom - (value / y.to) * (bottom - MARGIN.top);
  const ticks = Array.from({ length: TICKS + 1 }, (_, i) => i / TICKS);
  const middle = (MARGIN.top + bottom) / 2;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(WIDTH / 2, 20, title, `text-anchor="middle" font-size="14"`),
    ...ticks.flatMap((share) => {
      const [atX, atY] = [share * x.to, share * y.to];
      return [
        `<path d="M${MARGIN.left} ${round(up(atY))}H${right}" stroke="#ddd"/>`,
        text(MARGIN.left - 6, up(atY) + 4, shown(atY), `text-anchor="end"`),
        text(across(atX), bottom + 16, shown(atX), `text-anchor="middle"`),
      ];
    }),
    text((MARGIN.left + right) / 2, HEIGHT - 10, x.title, `text-anchor="middle"`),
    text(14, middle, y.title, `text-anchor="middle" transform="rotate(-90 14 ${round(middle)})"`),
    ...bars.map(({ from, to, height }) => {
      const [left, top] = [across(from), up(height)];
      const size = `width="${round(across(to) - left - 1)}" height="${round(bottom - top)}"`;
      return `<rect x="${round(left)}" y="${round(top)}" ${size} fill="${BAR_COLOUR}"/>`;
    }),
    ...lines.flatMap(({ label, points, dashed, dotted }, i) => {
      const colour = LINE_COLOURS[i % LINE_COLOURS.length]!;
      const places = points.map(([px, py]) => [round(across(px)), round(up(py))] as const);
      const path = places.map(([px, py], point) => `${point === 0 ? "M" : "L"}${px} ${py}`).join("");
      const dashes = dashed ? ` stroke-dasharray="4 4"` : "";
      return [
        `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`,
        ...(dotted ? places.map(([px, py]) => `<circle cx="${px}" cy="${py}" r="4" fill="${colour}"/>`) : []),
        text(MARGIN.left + 8, MARGIN.top + 14 + 16 * i, label, `fill="${colour}"`),
      ];
    }),
    `<path d="M${MARGIN.left} ${MARGIN.top}V${bottom}H${right}" fill="none" stroke="black"/>`,
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped}</text>`;
}

const round = (value: number) => Number(value.toFixed(2));
const shown = (value: number) => String(Number(value.toFixed(2)));
