import type { DetectedObject } from "florence2-webgpu";
import { coloursOf } from "florence2-webgpu/draw";
import { byId, html } from "../dom.ts";
import type { Question } from "../engines/engine.ts";
import type { Overlay } from "../picture/overlay.ts";
import { regionEntries } from "../question/catalog.ts";
import { count } from "../words.ts";

/** The objects of an answer as a list beside the image; each has its shape in the overlay. */
export class ObjectList {
  readonly #section = byId("objects");
  readonly #list = byId("object-list");
  readonly #slider = byId<HTMLInputElement>("confidence");
  readonly #amount = byId("confidence-shown");
  readonly #sliderField = byId("confidence-field");
  readonly #overlay: Overlay;
  readonly #onAsk: (question: Question) => void;
  #objects: readonly DetectedObject[] = [];
  #rows: HTMLElement[] = [];

  constructor(overlay: Overlay, onAsk: (question: Question) => void) {
    [this.#overlay, this.#onAsk] = [overlay, onAsk];
    this.#slider.addEventListener("input", () => this.#filter());
  }

  show(objects: readonly DetectedObject[]): void {
    this.#objects = objects;
    this.#section.hidden = objects.length === 0;
    this.#sliderField.hidden = !objects.some(({ score }) => score !== undefined);
    const colours = coloursOf(objects);
    this.#rows = objects.map((object, i) => this.#row(object, colours[i]!, i));
    this.#list.replaceChildren(...this.#rows);
    this.#slider.value = "0";
    this.#filter();
  }

  /** Marks the row of the object that is pointed at in the image. */
  point(index: number | undefined): void {
    for (const [i, row] of this.#rows.entries()) row.classList.toggle("is-pointed", i === index);
  }

  /** Opens the row of an object, and shows it. */
  pick(index: number): void {
    const row = this.#rows[index];
    if (!row) return;
    row.querySelector<HTMLButtonElement>(".object")!.click();
    row.scrollIntoView({ block: "nearest" });
  }

  #filter(): void {
    const least = this.#slider.valueAsNumber;
    const isVisible = (index: number) => (this.#objects[index]!.score ?? 1) >= least;
    const visible = this.#objects.filter((_, i) => isVisible(i)).length;
    for (const [i, row] of this.#rows.entries()) row.hidden = !isVisible(i);
    this.#overlay.filter(isVisible);
    const all = this.#objects.length;
    const shown = visible === all ? count(all, "place") : `${visible} of ${count(all, "place")}`;
    this.#amount.textContent = `${least.toFixed(2)} · ${shown}`;
    this.#slider.setAttribute("aria-valuetext", `${least.toFixed(2)}, ${shown} shown`);
  }

  #row({ label, score, box }: DetectedObject, colour: string, index: number): HTMLElement {
    const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.backgroundColor = colour;
    const name = label || `Place ${index + 1}`;
    const button = html(
      "button",
      { type: "button", class: "object", "aria-expanded": "false" },
      swatch,
      html("span", { class: "object-name" }, name),
      html("span", { class: "object-score" }, score === undefined ? "" : score.toFixed(2)),
    );
    const edges = box.map((edge) => Math.round(edge));
    const actions = regionEntries.map(({ token, name: action, help }) => {
      const ask = html("button", { type: "button", class: "small", title: help }, action);
      ask.addEventListener("click", () => this.#onAsk({ task: token, region: box }));
      return ask;
    });
    const more = html(
      "div",
      { class: "object-more", hidden: true },
      html("p", { class: "object-box" }, `from ${edges[0]}, ${edges[1]} to ${edges[2]}, ${edges[3]} px`),
      html("div", { class: "object-actions", role: "group", "aria-label": `Ask about ${name}` }, ...actions),
    );
    button.addEventListener("click", () => this.#expand(index));
    const row = html("li", {}, button, more);
    for (const event of ["pointerenter", "focusin"])
      row.addEventListener(event, () => this.#overlay.point(index));
    for (const event of ["pointerleave", "focusout"])
      row.addEventListener(event, () => this.#overlay.point(undefined));
    return row;
  }

  /** Opens a row, or closes it; one is open at a time. */
  #expand(index: number): void {
    for (const [i, row] of this.#rows.entries()) {
      const button = row.querySelector(".object")!;
      const isOpen = i === index && button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", String(isOpen));
      row.querySelector<HTMLElement>(".object-more")!.hidden = !isOpen;
    }
  }
}
