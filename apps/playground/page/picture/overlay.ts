/** The objects of an answer over the image: shapes in an SVG with the image's coordinates, labels as text above it. */
import type { DetectedObject } from "florence2-webgpu";
import { coloursOf, type Mark, marksOf } from "florence2-webgpu/draw";
import { html, svg } from "../dom.ts";
import type { Size } from "./geometry.ts";
import { placeLabels } from "./label_places.ts";

/** With more objects than this, only the object that is pointed at has its label. */
const MOST_LABELS = 40;

export interface Shown {
  readonly mark: Mark;
  readonly colour: string;
  readonly shape: SVGGElement;
  readonly label: HTMLElement | undefined;
}

export class Overlay {
  readonly #drawing: SVGSVGElement;
  readonly #labels: HTMLElement;
  readonly #onPoint: (index: number | undefined) => void;
  readonly #onPick: (index: number) => void;
  #shown: Shown[] = [];
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
    const colours = coloursOf(objects);
    this.#shown = objects.flatMap((object, index) => {
      const [mark] = marksOf([object]);
      return mark ? [this.#draw(mark, colours[index]!, index, objects.length <= MOST_LABELS)] : [];
    });
    // Small shapes lie above large ones, so that each can be pointed at.
    const order = [...this.#shown].sort((a, b) => extent(b.mark) - extent(a.mark));
    this.#drawing.replaceChildren(...order.map(({ shape }) => shape));
    this.#labels.replaceChildren(...this.#shown.flatMap(({ label }) => label ?? []));
    this.#place();
  }

  /** Shows those objects alone. */
  filter(isVisible: (index: number) => boolean): void {
    for (const { shape, label } of this.#shown) {
      const isHidden = !isVisible(indexOf(shape));
      shape.toggleAttribute("hidden", isHidden);
      label?.toggleAttribute("hidden", isHidden);
    }
    this.#place();
  }

  /** Makes one object stand out. */
  point(index: number | undefined): void {
    this.#drawing.classList.toggle("has-pointed", index !== undefined);
    for (const { shape, label } of this.#shown) {
      const isPointed = indexOf(shape) === index;
      shape.classList.toggle("is-pointed", isPointed);
      label?.classList.toggle("is-pointed", isPointed);
    }
  }

  #draw(mark: Mark, colour: string, index: number, hasLabel: boolean): Shown {
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
    const label = hasLabel && mark.label ? html("span", { class: "label" }, text) : undefined;
    label?.style.setProperty("background-color", colour);
    shape.addEventListener("pointerenter", () => this.#onPoint(index));
    shape.addEventListener("pointerleave", () => this.#onPoint(undefined));
    shape.addEventListener("click", () => this.#onPick(index));
    return { mark, colour, shape, label };
  }

  /** Puts labels beside their shapes, as they are on the screen now. */
  #place(): void {
    const scale = this.#labels.clientWidth / this.#size.width;
    const visible = this.#shown.filter(({ label }) => label && !label.hasAttribute("hidden"));
    const wanted = visible.map(({ label, mark }) => ({
      width: label!.offsetWidth,
      height: label!.offsetHeight,
      anchor: edgesOf(mark).map((edge) => edge * scale) as [number, number, number, number],
    }));
    const room = { width: this.#labels.clientWidth, height: this.#labels.clientHeight };
    for (const [i, { left, top }] of placeLabels(wanted, room).entries()) {
      visible[i]!.label!.style.translate = `${left}px ${top}px`;
    }
  }
}

const indexOf = (shape: SVGGElement) => Number(shape.dataset.index);

function edgesOf({ outlines }: Mark): [number, number, number, number] {
  const points = outlines.flat();
  const [across, down] = [points.filter((_, i) => i % 2 === 0), points.filter((_, i) => i % 2 === 1)];
  return [Math.min(...across), Math.min(...down), Math.max(...across), Math.max(...down)];
}

function extent(mark: Mark): number {
  const [left, top, right, bottom] = edgesOf(mark);
  return (right - left) * (bottom - top);
}

function pathOf(points: readonly number[]): string {
  const corners: string[] = [];
  for (let i = 0; i + 1 < points.length; i += 2) corners.push(`${points[i]} ${points[i + 1]}`);
  return `M${corners.join("L")}Z`;
}
