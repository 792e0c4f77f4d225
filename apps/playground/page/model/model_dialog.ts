import type { CachedModel } from "florence2-webgpu/browser";
import { byId, html, icon } from "../dom.ts";
import type { ModelChoice } from "../engines/protocol.ts";
import type { ServerAddress } from "../engines/server_engine.ts";
import { bytes } from "../words.ts";
import { BUNDLED, choiceOf, offered } from "./choices.ts";
import type { ModelCache } from "./model_cache.ts";
import type { Target } from "./model_host.ts";

/** The dialog that chooses where to compute and with which model. */
export class ModelDialog {
  readonly #dialog = byId<HTMLDialogElement>("model-dialog");
  readonly #form = byId<HTMLFormElement>("model-form");
  readonly #models = byId("models");
  readonly #other = byId<HTMLInputElement>("other-model");
  readonly #server = byId<HTMLInputElement>("server-address");
  readonly #key = byId<HTMLInputElement>("server-key");
  readonly #problem = byId("model-problem");
  readonly #cache: ModelCache;

  constructor(cache: ModelCache, onOpen: (target: Target) => void) {
    this.#cache = cache;
    for (const model of offered)
      this.#models.append(this.#row(model.source, model.name, model.size, model.about));
    this.#form.addEventListener("change", () => this.#showPlace());
    this.#other.addEventListener("input", () => {
      this.#form.querySelector<HTMLInputElement>('input[name="source"][value=""]')!.checked = true;
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const target = this.#target();
      if (!target) return;
      this.#dialog.close();
      onOpen(target);
    });
    byId("model-close").addEventListener("click", () => this.#dialog.close());
    const isServed = document.documentElement.hasAttribute("data-server");
    this.#server.value = isServed ? location.origin : "http://127.0.0.1:8000";
    this.#showPlace();
  }

  /** Opens the dialog on a choice. */
  open(target: Target | undefined): void {
    if (target) this.#fill(target);
    this.#problem.textContent = "";
    this.#dialog.showModal();
    if (target?.place === "server") this.#key.focus();
    void this.#showCache();
  }

  /** The server of the form, for the code that is shown. */
  get address(): ServerAddress {
    const { value } = this.#server;
    return { origin: URL.canParse(value) ? new URL(value).origin : value, key: this.#key.value };
  }

  #fill(target: Target): void {
    this.#check("place", target.place);
    if (target.place === "browser") {
      const { source, device, dtype, revision = "", endpoint = "" } = target.choice;
      const isOffered = offered.some((model) => model.source === source);
      this.#check("source", isOffered ? source : "");
      if (!isOffered) this.#other.value = source;
      for (const [name, value] of Object.entries({ device, dtype, revision, endpoint }))
        (this.#form.elements.namedItem(name) as HTMLInputElement).value = value;
    } else this.#server.value = target.address.origin;
    this.#showPlace();
  }

  #target(): Target | undefined {
    const fields = Object.fromEntries(new FormData(this.#form)) as Record<string, string>;
    if (fields.place === "server") {
      if (URL.canParse(this.#server.value)) return { place: "server", address: this.address };
      return this.#complain("Give the server's address, such as http://127.0.0.1:8000.", this.#server);
    }
    const source = fields.source || this.#other.value.trim();
    if (source === "")
      return this.#complain(
        "Give a repository such as microsoft/Florence-2-base, or the address of a folder.",
        this.#other,
      );
    const choice: ModelChoice = choiceOf({ ...fields, source });
    return { place: "browser", choice };
  }

  #complain(problem: string, field: HTMLElement): undefined {
    this.#problem.textContent = problem;
    field.focus();
    return undefined;
  }

  #check(name: string, value: string): void {
    this.#form.querySelector<HTMLInputElement>(
      `input[name="${name}"][value="${CSS.escape(value)}"]`,
    )!.checked = true;
  }

  #showPlace(): void {
    const place = new FormData(this.#form).get("place");
    byId("browser-options").hidden = place !== "browser";
    byId("server-options").hidden = place !== "server";
    byId("model-open").textContent = place === "server" ? "Connect" : "Load";
  }

  #row(source: string, name: string, size: string, about: string): HTMLElement {
    const radio = html("input", {
      type: "radio",
      name: "source",
      value: source,
      checked: source === BUNDLED,
    });
    return html(
      "li",
      { "data-source": source },
      html(
        "label",
        { class: "model" },
        radio,
        html("span", { class: "model-name" }, name),
        html("span", { class: "model-size" }, size),
        html("span", { class: "model-about" }, about),
      ),
      html("div", { class: "model-cache" }),
    );
  }

  /** Says of each model how much of it is in this browser's cache; own models get rows, too. */
  async #showCache(): Promise<void> {
    const kept = await this.#cache.list();
    for (const { id } of kept) {
      if (!this.#models.querySelector(`[data-source="${CSS.escape(id)}"]`))
        this.#models.append(this.#row(id, id, "", "Kept by this browser."));
    }
    for (const row of this.#models.querySelectorAll<HTMLElement>("[data-source]")) {
      const model = kept.find(({ id }) => id === row.dataset.source);
      row.querySelector(".model-cache")!.replaceChildren(...(model ? this.#cacheState(model) : []));
    }
    const sum = kept.reduce((total, model) => total + model.bytes, 0);
    const { usage, quota } = (await navigator.storage?.estimate?.()) ?? {};
    byId("storage").textContent =
      usage !== undefined && quota
        ? `${kept.length > 0 ? `Models take ${bytes(sum)} of this browser's storage; ` : "Room for models: "}${bytes(quota - usage)} free.`
        : "";
  }

  #cacheState({ id, bytes: size, unfinished }: CachedModel): Node[] {
    const state =
      unfinished > 0 ? `${bytes(size)} downloaded, goes on there` : `On this device, ${bytes(size)}`;
    const remove = html(
      "button",
      { type: "button", class: "small", "aria-label": `Delete ${id}` },
      icon("trash"),
      "Delete",
    );
    remove.addEventListener("click", async () => {
      await this.#cache.delete(id);
      await this.#showCache();
      this.#dialog.focus();
    });
    return [html("span", { class: "cached" }, state), remove];
  }
}
