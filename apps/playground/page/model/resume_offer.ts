import { byId } from "../dom.ts";
import { bytes } from "../words.ts";
import { nameOf } from "./choices.ts";
import { begunChoice } from "./kept_choice.ts";
import type { ModelCache } from "./model_cache.ts";
import type { Target } from "./model_host.ts";

/** Offers the rest of a download that the page was left in. */
export class ResumeOffer {
  readonly #bar = byId("resume");
  readonly #cache: ModelCache;

  constructor(cache: ModelCache, onGoOn: (target: Target) => void) {
    this.#cache = cache;
    byId("resume-go").addEventListener("click", () => {
      const choice = begunChoice.get();
      this.hide();
      if (choice) onGoOn({ place: "browser", choice });
    });
    byId("resume-drop").addEventListener("click", () => {
      const choice = begunChoice.get();
      this.hide();
      if (choice) begunChoice.forget(choice.source);
    });
  }

  /** Shows the offer if there is such a download, other than of the model that is being opened. */
  async show(opening: Target): Promise<void> {
    const choice = begunChoice.get();
    if (!choice || (opening.place === "browser" && opening.choice.source === choice.source)) return;
    const kept = (await this.#cache.list()).find(({ id }) => id === choice.source);
    // Another visit to this page may have finished it meanwhile.
    if (begunChoice.get()?.source !== choice.source) return;
    const here = kept ? `, with ${bytes(kept.bytes)} here` : "";
    byId("resume-text").textContent = `The download of ${nameOf(choice.source)} was left unfinished${here}.`;
    this.#bar.hidden = false;
  }

  hide(): void {
    this.#bar.hidden = true;
  }
}
