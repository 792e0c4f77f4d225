import type { DetectedObject } from "florence2-webgpu";
import { coloursOf } from "florence2-webgpu/draw";
import { byId, html } from "../dom.ts";
import type { Question } from "../engines/engine.ts";
import type { Overlay } from "../picture/overlay.ts";
import { regionEntries } from "../question/catalog.ts";
import { count } from "../words.ts";

interface Row {
  readonly item: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly name: string;
}

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
  #rows: Row[] = [];
  #pointed: Row | undefined;
  #open: Row | undefined;

  constructor(overlay: Overlay, onAsk: (question: Question) => void) {
    [this.#overlay, this.#onAsk] = [overlay, onAsk];
    this.#slider.addEventListener("input", () => this.#filter());
    this.#list.addEventListener("keydown", (event) => this.#move(event));
  }

  show(objects: readonly DetectedObject[]): void {
    this.#objects = objects;
    this.#section.hidden = objects.length === 0;
    this.#sliderField.hidden = !objects.some(({ score }) => score !== undefined);
    const colours = coloursOf(objects);
    this.#rows = objects.map((object, i) => this.#row(object, colours[i]!, i));
    [this.#pointed, this.#open] = [undefined, undefined];
    this.#list.replaceChildren(...this.#rows.map(({ item }) => item));
    this.#slider.value = "0";
    this.#filter();
  }

  /** Marks the row of the object that is pointed at in the image. */
  point(index: number | undefined): void {
    this.#pointed?.item.classList.remove("is-pointed");
    this.#pointed = this.#rows[index ?? -1];
    this.#pointed?.item.classList.add("is-pointed");
  }

  /** Opens the row of an object, and shows it. */
  pick(index: number): void {
    const row = this.#rows[index];
    row?.button.click();
    row?.item.scrollIntoView({ block: "nearest" });
  }

  #filter(): void {
    const least = this.#slider.valueAsNumber;
    const isVisible = (index: number) => (this.#objects[index]!.score ?? 1) >= least;
    const visible = this.#objects.filter((_, i) => isVisible(i)).length;
    for (const [i, { item }] of this.#rows.entries()) item.toggleAttribute("hidden", !isVisible(i));
    this.#overlay.filter(isVisible);
    const all = this.#objects.length;
    const shown = visible === all ? count(all, "place") : `${visible} of ${count(all, "place")}`;
    this.#amount.textContent = `${least.toFixed(2)} · ${shown}`;
    this.#slider.setAttribute("aria-valuetext", `${least.toFixed(2)}, ${shown} shown`);
  }

  /** Arrows, Home and End move through the rows that are shown. */
  #move(event: KeyboardEvent): void {
    const shown = this.#rows.filter(({ item }) => !item.hidden).map(({ button }) => button);
    const at = shown.indexOf(event.target as HTMLButtonElement);
    if (at < 0) return;
    const targets: Readonly<Record<string, number>> = {
      ArrowDown: at + 1,
      ArrowUp: at - 1,
      Home: 0,
      End: shown.length - 1,
    };
    const target = shown[targets[event.key] ?? -1];
    if (!target) return;
    event.preventDefault();
    target.focus();
  }

  #row({ label, score }: DetectedObject, colour: string, index: number): Row {
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
    const row = { item: html("li", {}, button), button, name };
    button.addEventListener("click", () => this.#expand(row, index));
    for (const event of ["pointerenter", "focusin"])
      row.item.addEventListener(event, () => this.#overlay.point(index));
    for (const event of ["pointerleave", "focusout"])
      row.item.addEventListener(event, () => this.#overlay.point(undefined));
    return row;
  }

  /** Where an object is, and what can be asked about it. */
  #more({ box }: DetectedObject, name: string): HTMLElement {
    const edges = box.map((edge) => Math.round(edge));
    const actions = regionEntries.map(({ token, name: action, help }) => {
      const ask = html("button", { type: "button", class: "small", title: help }, action);
      ask.addEventListener("click", () => this.#onAsk({ task: token, region: box }));
      return ask;
    });
    return html(
      "div",
      { class: "object-more" },
      html("p", { class: "object-box" }, `from ${edges[0]}, ${edges[1]} to ${edges[2]}, ${edges[3]} px`),
      html("div", { class: "object-actions", role: "group", "aria-label": `Ask about ${name}` }, ...actions),
    );
  }

  /** Opens a row, or closes it; one is open at a time. */
  #expand(row: Row, index: number): void {
    const before = this.#open;
    before?.button.setAttribute("aria-expanded", "false");
    before?.button.nextElementSibling?.remove();
    this.#open = before === row ? undefined : row;
    if (!this.#open) return;
    row.button.setAttribute("aria-expanded", "true");
    row.item.append(this.#more(this.#objects[index]!, row.name));
  }
}
