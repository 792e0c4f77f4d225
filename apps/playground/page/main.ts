/** The beginning: what the address says, else what the last visit chose, else the bundled checkpoint and a sample. */
import { App } from "./app.ts";
import { BUNDLED, choiceOf } from "./model/choices.ts";
import { lastChoice } from "./model/kept_choice.ts";
import { ModelCache } from "./model/model_cache.ts";
import type { Target } from "./model/model_host.ts";
import { type Sample, samples } from "./picture/samples.ts";
import { readShared, type Shared } from "./share.ts";
import { listenToTheme } from "./theme.ts";

listenToTheme();
const app = new App();
void restore(readShared(location.hash), samples[0]);
void firstTarget()
  .then((target) => {
    void app.offerRest(target);
    return app.open(target);
  })
  .then(keepPage);
window.addEventListener("hashchange", () => void restore(readShared(location.hash)));

/** Shows what a link says; without a sample in it, another. */
async function restore({ task, text, region, image }: Shared, other?: Sample): Promise<void> {
  if (task) app.form.choose(task, text);
  const sample = samples.find(({ file }) => image === `samples/${file}`) ?? other;
  if (sample) await app.showSample(sample);
  if (image?.startsWith("http")) await app.addImageAt(image);
  if (region) app.region.choose(region);
}

/** Where the page computes at first. A page of a florence2-server asks it; nothing large is downloaded unasked. */
async function firstTarget(): Promise<Target> {
  const asked = new URLSearchParams(location.search);
  const isServed = document.documentElement.hasAttribute("data-server");
  const server =
    asked.get("server") ?? (isServed && asked.get("engine") !== "browser" ? location.origin : "");
  if (URL.canParse(server)) return { place: "server", address: { origin: new URL(server).origin, key: "" } };
  if (asked.has("model") || asked.has("device")) {
    const { model, ...options } = Object.fromEntries(asked);
    return { place: "browser", choice: choiceOf({ ...options, source: model }) };
  }
  const choice = lastChoice.get();
  if (choice && (choice.source === BUNDLED || (await new ModelCache().has(choice.source))))
    return { place: "browser", choice };
  return { place: "browser", choice: choiceOf({}) };
}

/** Keeps the page for times without a network. Not before the model is there: both fetch the same files. */
async function keepPage(): Promise<void> {
  if (!("serviceWorker" in navigator && import.meta.env.PROD)) return;
  await navigator.serviceWorker.register("service_worker.js").catch((error) => console.warn(error));
}
