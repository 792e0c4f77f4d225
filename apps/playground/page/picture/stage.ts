import { byId } from "../dom.ts";
import type { Size } from "./geometry.ts";

/** A small image is shown at most this much larger than it is. */
const MOST_ENLARGED = 4;
const ZOOM_STEP = 1.25;
const MOST_ZOOM = 8;

/** The image as large as the stage allows, or larger and scrolled. */
export class Stage {
  readonly #stage = byId("stage");
  readonly #surface = byId("surface");
  readonly #image = byId<HTMLImageElement>("image");
  #size: Size = { width: 1, height: 1 };
  #zoom = 1;

  constructor() {
    new ResizeObserver(() => this.#fit()).observe(this.#stage);
    byId("zoom-in").addEventListener("click", () => this.#zoomTo(this.#zoom * ZOOM_STEP));
    byId("zoom-out").addEventListener("click", () => this.#zoomTo(this.#zoom / ZOOM_STEP));
    byId("zoom-fit").addEventListener("click", () => this.#zoomTo(1));
    this.#stage.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.#zoomTo(this.#zoom * ZOOM_STEP ** -Math.sign(event.deltaY));
      },
      { passive: false },
    );
  }

  show(url: string, name: string, size: Size): void {
    this.#image.src = url;
    this.#image.alt = name;
    this.#size = size;
    this.#surface.hidden = false;
    this.#zoomTo(1);
  }

  #zoomTo(zoom: number): void {
    this.#zoom = Math.min(Math.max(zoom, 1), MOST_ZOOM);
    this.#fit();
  }

  #fit(): void {
    const { clientWidth, clientHeight } = this.#stage;
    const { width, height } = this.#size;
    const scale = Math.min(clientWidth / width, clientHeight / height, MOST_ENLARGED) * this.#zoom;
    this.#surface.style.width = `${Math.floor(width * scale)}px`;
    this.#surface.style.height = `${Math.floor(height * scale)}px`;
    this.#stage.classList.toggle("is-zoomed", this.#zoom > 1);
  }
}
