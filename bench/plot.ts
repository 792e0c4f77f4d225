import type { ModelReport } from "./report.ts";

const LABELS = 250;
const AXIS = 420;
const ROW = 20;
const [TOP, BOTTOM] = [48, 40];
const [WALL, GPU] = ["#2e4057", "#d1495b"];

/** The phases of a report as SVG: wall time from the fastest run to the third quartile, and GPU time, on a scale of tens. */
export function phasePlot({ model, origin, rows }: Pick<ModelReport, "model" | "origin" | "rows">): string {
  const times = rows.flatMap(({ fastest, p75, gpuMs }) => [fastest, p75, ...(gpuMs ? [gpuMs] : [])]);
  const from = Math.floor(Math.log10(Math.min(...times)));
  const to = Math.max(Math.ceil(Math.log10(Math.max(...times))), from + 1);
  const across = (ms: number) => round(LABELS + ((Math.log10(ms) - from) / (to - from)) * AXIS);
  const [width, height] = [LABELS + AXIS + 30, TOP + ROW * rows.length + BOTTOM];
  const foot = height - BOTTOM;
  const tens = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i));
  const title = `${model} on ${origin.adapter}`;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    label(10, 20, title, `font-size="14"`),
    label(10, 38, "wall time", `fill="${WALL}"`),
    label(80, 38, "GPU time", `fill="${GPU}"`),
    ...tens.flatMap((ms) => [
      `<path d="M${across(ms)} ${TOP}V${foot}" stroke="#ddd"/>`,
      label(across(ms), foot + 16, `${Number(ms.toPrecision(1))}`, `text-anchor="middle"`),
    ]),
    label(LABELS + AXIS / 2, height - 6, "milliseconds", `text-anchor="middle"`),
    ...rows.flatMap(({ phase, batch, ms, fastest, p75, gpuMs }, i) => {
      const y = TOP + ROW * (i + 0.5);
      return [
        label(LABELS - 10, y + 4, batch > 1 ? `${phase} x ${batch}` : phase, `text-anchor="end"`),
        `<path d="M${across(fastest)} ${y}H${across(p75)}" stroke="${WALL}" stroke-width="2"/>`,
        ...(gpuMs ? [`<circle cx="${across(gpuMs)}" cy="${y}" r="4" fill="${GPU}"/>`] : []),
        `<circle cx="${across(ms)}" cy="${y}" r="4" fill="${WALL}"/>`,
      ];
    }),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

function label(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`;
}

const escaped = (content: string) =>
  content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const round = (value: number) => Number(value.toFixed(1));
