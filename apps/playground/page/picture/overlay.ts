/** The objects of an answer over the image: shapes in an SVG with the image's coordinates, labels as text above it. */
import type { DetectedObject } from "florence2-webgpu";
import { coloursOf, type Mark, marksOf } from "florence2-webgpu/draw";
import { html, svg } from "../dom.ts";
import type { Size } from "./geometry.ts";
import { placeLabels } from "./label_places.ts";

/** With more objects than this, only the object that is pointed at has its label. */
const MOST_LABELS = 40;

type Edges = readonly [left: number, top: number, right: number, bottom: number];

interface Shown {
  readonly edges: Edges;
  readonly shape: SVGGElement;
  readonly label: HTMLElement | undefined;
}

export class Overlay {
  readonly #drawing: SVGSVGElement;
  readonly #labels: HTMLElement;
  readonly #onPoint: (index: number | undefined) => void;
  readonly #onPick: (index: number) => void;
  /** By the number of their object. */
  #shown = new Map<number, Shown>();
  #pointed: number | undefined;
  #isCrowded = false;
  #size: Size = { width: 1, height: 1 };

  constructor(
    drawing: SVGSVGElement,
    labels: HTMLElement,
    { onPoint, onPick }: { onPoint(index: number | undefined): void; onPick(index: number): void },
  ) {
    [this.#drawing, this.#labels, this.#onPoint, this.#onPick] = [drawing, labels, onPoint, onPick];
    new ResizeObserver(() => this.#place()).observe(labels);
  }

  /** Draws objects; each index of the callbacks is that of an object. */
  show(objects: readonly DetectedObject[], size: Size): void {
    this.#size = size;
    this.#drawing.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
    this.point(undefined);
    this.#isCrowded = objects.length > MOST_LABELS;
    this.#drawing.classList.toggle("is-crowded", this.#isCrowded);
    const colours = coloursOf(objects);
    this.#shown = new Map();
    for (const [index, object] of objects.entries()) {
      const [mark] = marksOf([object]);
      if (mark) this.#shown.set(index, this.#draw(mark, colours[index]!, index));
    }
    // Small shapes lie above large ones, so that each can be pointed at.
    const order = [...this.#shown.values()].sort((a, b) => extent(b.edges) - extent(a.edges));
    this.#drawing.replaceChildren(...order.map(({ shape }) => shape));
    const labels = this.#isCrowded ? [] : [...this.#shown.values()].flatMap(({ label }) => label ?? []);
    this.#labels.replaceChildren(...labels);
    this.#place();
  }

  /** Shows those objects alone. */
  filter(isVisible: (index: number) => boolean): void {
    for (const [index, { shape, label }] of this.#shown) {
      const isHidden = !isVisible(index);
      shape.toggleAttribute("hidden", isHidden);
      label?.toggleAttribute("hidden", isHidden);
    }
    this.#place();
  }

  /** Makes one object stand out. Of all objects only that one and the one before it change. */
  point(index: number | undefined): void {
    if (index === this.#pointed) return;
    this.#drawing.classList.toggle("has-pointed", index !== undefined);
    this.#markPointed(false);
    this.#pointed = index;
    this.#markPointed(true);
  }

  #markPointed(isPointed: boolean): void {
    const { shape, label } = this.#shown.get(this.#pointed ?? -1) ?? {};
    shape?.classList.toggle("is-pointed", isPointed);
    label?.classList.toggle("is-pointed", isPointed);
    if (!this.#isCrowded || !label) return;
    if (isPointed) this.#labels.append(label);
    else label.remove();
    this.#place();
  }

  #draw(mark: Mark, colour: string, index: number): Shown {
    const path = mark.outlines.map(pathOf).join("");
    const shape = svg(
      "g",
      { class: `shape ${mark.kind}`, "data-index": index },
      svg("path", { class: "rim", d: path }),
      svg("path", { class: "line", d: path, stroke: colour, fill: colour }),
    );
    const text = [mark.label, mark.score === undefined ? "" : mark.score.toFixed(2)]
      .filter(Boolean)
      .join(" ");
    const label = mark.label ? html("span", { class: "label" }, text) : undefined;
    label?.style.setProperty("background-color", colour);
    shape.addEventListener("pointerenter", () => this.#onPoint(index));
    shape.addEventListener("pointerleave", () => this.#onPoint(undefined));
    shape.addEventListener("click", () => this.#onPick(index));
    return { edges: edgesOf(mark), shape, label };
  }

  /** Puts labels beside their shapes, as they are on the screen now. */
  #place(): void {
    const scale = this.#labels.clientWidth / this.#size.width;
    const visible = [...this.#shown.values()].filter(
      ({ label }) => label?.isConnected && !label.hasAttribute("hidden"),
    );
    const wanted = visible.map(({ label, edges }) => ({
      width: label!.offsetWidth,
      height: label!.offsetHeight,
      anchor: edges.map((edge) => edge * scale) as [number, number, number, number],
    }));
    const room = { width: this.#labels.clientWidth, height: this.#labels.clientHeight };
    for (const [i, { left, top }] of placeLabels(wanted, room).entries()) {
      visible[i]!.label!.style.translate = `${left}px ${top}px`;
    }
  }
}

function edgesOf({ outlines }: Mark): Edges {
  const points = outlines.flat();
  const [across, down] = [points.filter((_, i) => i % 2 === 0), points.filter((_, i) => i % 2 === 1)];
  return [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)];
}

const extent = ([left, top, right, bottom]: Edges) => (right - left) * (bottom - top);

function pathOf(points: readonly number[]): string {
  const corners: string[] = [];
  for (let i = 0; i + 1 < points.length; i += 2) corners.push(`${points[i]} ${points[i + 1]}`);
  return `M${corners.join("L")}Z`;
}
