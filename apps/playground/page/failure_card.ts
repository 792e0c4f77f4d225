import { adviceFor, REMEDIES, type Remedy } from "./advice.ts";
import { byId, html } from "./dom.ts";
import type { Failure } from "./failure.ts";

/** What went wrong, and what can be done about it, above the answer. */
export class FailureCard {
  readonly #card = byId("failure");

  show(failure: Failure, onRemedy: (remedy: Remedy) => void): void {
    const { title, text, remedies } = adviceFor(failure, navigator.onLine);
    const buttons = remedies.map((remedy, i) => {
      const button = html(
        "button",
        { type: "button", class: i === 0 ? "strong" : "plain" },
        REMEDIES[remedy],
      );
      button.addEventListener("click", () => {
        this.hide();
        onRemedy(remedy);
      });
      return button;
    });
    const close = html("button", { type: "button", class: "plain" }, "Dismiss");
    close.addEventListener("click", () => this.hide());
    this.#card.dataset.code = failure.code;
    this.#card.replaceChildren(
      html("h2", {}, title),
      html("p", {}, text),
      html("div", { class: "buttons" }, ...buttons, close),
    );
    this.#card.hidden = false;
  }

  hide(): void {
    this.#card.hidden = true;
    this.#card.replaceChildren();
  }
}
