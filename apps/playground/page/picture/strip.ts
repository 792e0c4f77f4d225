import { byId, html } from "../dom.ts";
import type { PageImage } from "./page_image.ts";
import type { Sample } from "./samples.ts";

/** Own images that are kept at most; the oldest goes first. */
const MOST_IMAGES = 12;

/** The row of small images: samples, and the visitor's own. */
export class Strip {
  readonly #samples = byId("samples");
  readonly #own = byId("own-images");
  readonly #ownGroup = byId("own-group");
  readonly #images = new Map<PageImage, HTMLButtonElement>();
  readonly #onPick: (image: PageImage) => void;
  readonly #onDrop: (image: PageImage) => void;

  constructor(
    samples: readonly Sample[],
    listener: {
      onPick(image: PageImage): void;
      onSample(sample: Sample): void;
      /** An image leaves the page. */
      onDrop(image: PageImage): void;
    },
  ) {
    [this.#onPick, this.#onDrop] = [listener.onPick, listener.onDrop];
    for (const sample of samples) {
      const button = thumbnail(sample.url, sample.title);
      button.dataset.sample = sample.file;
      button.addEventListener("click", () => listener.onSample(sample));
      this.#samples.append(html("li", {}, button));
    }
  }

  /** Takes an own image to the front of the row. */
  add(image: PageImage): void {
    const button = thumbnail(image.url, image.name);
    button.addEventListener("click", () => this.#onPick(image));
    this.#images.set(image, button);
    this.#own.prepend(html("li", {}, button));
    this.#ownGroup.hidden = false;
    for (const [oldest, old] of this.#images) {
      if (this.#images.size <= MOST_IMAGES) break;
      this.#images.delete(oldest);
      old.parentElement!.remove();
      URL.revokeObjectURL(oldest.url);
      this.#onDrop(oldest);
    }
  }

  mark(image: PageImage): void {
    for (const button of document.querySelectorAll<HTMLButtonElement>(".thumbnail")) {
      const isShown =
        this.#images.get(image) === button || `samples/${button.dataset.sample}` === image.address;
      button.setAttribute("aria-pressed", String(isShown));
    }
  }
}

function thumbnail(url: string, title: string): HTMLButtonElement {
  const picture = html("img", { src: url, alt: "", loading: "lazy", width: 64, height: 64 });
  return html(
    "button",
    { type: "button", class: "thumbnail", title, "aria-label": title, "aria-pressed": "false" },
    picture,
  );
}
