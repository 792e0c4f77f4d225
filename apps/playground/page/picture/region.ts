import { byId } from "../dom.ts";
import type { Box } from "../engines/engine.ts";
import { fitted, keyed, middleOf, moved, type Size } from "./geometry.ts";

/** Screen pixels that a pointer moves before it draws: less is a click. */
const CLICK = 4;
const EDGES = ["left", "top", "right", "bottom"] as const;

/**
 * The region of a question: drawn with a pointer, moved and sized with keys, or typed as numbers. All three change
 * the same box.
 */
export class RegionPicker {
  readonly #surface = byId("surface");
  readonly #frame = byId("region");
  readonly #fields = EDGES.map((edge) => byId<HTMLInputElement>(`region-${edge}`));
  #size: Size = { width: 1, height: 1 };
  #box: Box = [0, 0, 1, 1];
  #isOn = false;

  constructor() {
    this.#surface.addEventListener("pointerdown", (event) => this.#drag(event));
    this.#frame.addEventListener("keydown", (event) => {
      const box = keyed(this.#box, event, this.#size);
      if (!box) return;
      event.preventDefault();
      this.#set(box);
    });
    for (const field of this.#fields)
      field.addEventListener("change", () => {
        // A field that was emptied keeps its edge.
        const edges = this.#fields.map(({ valueAsNumber: typed }, i) =>
          Number.isNaN(typed) ? this.#box[i]! : typed,
        );
        this.#set(fitted(edges as unknown as Box, this.#size));
      });
  }

  get box(): Box {
    return this.#box;
  }

  /** Whether a region is asked for. */
  set isOn(isOn: boolean) {
    this.#isOn = isOn;
    this.#frame.hidden = !isOn;
    this.#surface.classList.toggle("is-drawing", isOn);
  }

  /** Takes another image, with the region in its middle. */
  reset(size: Size): void {
    this.#size = size;
    for (const [i, field] of this.#fields.entries()) field.max = String(i % 2 ? size.height : size.width);
    this.#set(middleOf(size));
  }

  /** Takes a box that was found or shared. */
  choose(box: Box): void {
    this.#set(fitted(box, this.#size));
  }

  #set(box: Box): void {
    this.#box = box;
    const { width, height } = this.#size;
    const [left, top, right, bottom] = box;
    const { style } = this.#frame;
    style.left = `${(100 * left) / width}%`;
    style.top = `${(100 * top) / height}%`;
    style.width = `${(100 * (right - left)) / width}%`;
    style.height = `${(100 * (bottom - top)) / height}%`;
    const place = `from ${left}, ${top} to ${right}, ${bottom}`;
    this.#frame.setAttribute("aria-label", `Region ${place}. Arrows move it, Shift and arrows size it.`);
    for (const [i, field] of this.#fields.entries()) field.value = String(box[i]);
  }

  #drag(start: PointerEvent): void {
    if (!this.#isOn || start.button !== 0) return;
    const bounds = this.#surface.getBoundingClientRect();
    const at = ({ clientX, clientY }: PointerEvent) =>
      [
        ((clientX - bounds.left) / bounds.width) * this.#size.width,
        ((clientY - bounds.top) / bounds.height) * this.#size.height,
      ] as const;
    const begun = at(start);
    const before = this.#box;
    // Inside the region a drag moves it; elsewhere it draws a new one.
    const isMove = start.target === this.#frame;
    this.#surface.setPointerCapture(start.pointerId);
    start.preventDefault();
    this.#frame.focus({ preventScroll: true });
    const follow = (event: PointerEvent) => {
      const [x, y] = at(event);
      const distance = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
      if (isMove) this.#set(moved(before, x - begun[0], y - begun[1], this.#size));
      else if (distance >= CLICK) this.#set(fitted([begun[0], begun[1], x, y], this.#size));
    };
    const end = () => {
      this.#surface.removeEventListener("pointermove", follow);
      this.#surface.removeEventListener("pointerup", end);
      this.#surface.removeEventListener("pointercancel", end);
    };
    this.#surface.addEventListener("pointermove", follow);
    this.#surface.addEventListener("pointerup", end);
    this.#surface.addEventListener("pointercancel", end);
  }
}
