import { byId } from "../dom.ts";
import type { Engine } from "../engines/engine.ts";
import { ServerEngine } from "../engines/server_engine.ts";
import { bytes } from "../words.ts";
import { isNano, nameOf } from "./choices.ts";
import type { HostListener } from "./model_host.ts";

/** What runs, in the page's head: model, device, size; or how far its opening is. */
export class ModelChip {
  readonly #chip = byId("model-chip");
  readonly #name = byId("model-name");
  readonly #device = byId("model-device");
  readonly #bar = byId("opening");
  readonly #meter = byId<HTMLProgressElement>("opening-meter");
  readonly #opening = byId("opening-text");

  showEngine(engine: Engine): void {
    const { place, facts } = engine;
    const { model, device, deviceKind, fileBytes, memoryBytes, dtype } = facts;
    this.#chip.dataset.state = "ready";
    this.#name.textContent = nameOf(model);
    const kind = deviceKind === "gpu" ? "GPU" : "CPU";
    this.#device.textContent = place === "server" ? `server, ${kind}` : `this browser, ${kind}`;
    byId("privacy").textContent =
      engine instanceof ServerEngine
        ? `Pictures that you ask about are sent to ${engine.address.origin}.`
        : "Computed in this browser: pictures and questions do not leave this machine.";
    byId("facts").textContent = [
      isNano(model) ? `${nameOf(model)}, which knows drawn scenes only` : nameOf(model),
      fileBytes && `${bytes(fileBytes)} of weights${dtype && dtype !== "auto" ? ` as ${dtype}` : ""}`,
      memoryBytes && `${bytes(memoryBytes)} of memory`,
      device,
    ]
      .filter(Boolean)
      .join(" · ");
  }

  showNone(): void {
    this.#chip.dataset.state = "none";
    this.#name.textContent = "No model";
    this.#device.textContent = "choose one";
    byId("facts").textContent = "";
  }

  showProgress(progress: Parameters<HostListener["onProgress"]>[0]): void {
    this.#bar.hidden = progress === undefined;
    if (!progress) return;
    this.#opening.textContent = progress.text;
    if (progress.percent === undefined) this.#meter.removeAttribute("value");
    else this.#meter.value = progress.percent;
  }
}
