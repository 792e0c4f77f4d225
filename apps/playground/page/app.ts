import type { Remedy } from "./advice.ts";
import { isFatal } from "./advice.ts";
import { AnswerPanel } from "./answer/answer_panel.ts";
import type { Exchange } from "./answer/exports.ts";
import { ObjectList } from "./answer/object_list.ts";
import { snippetsOf } from "./answer/snippets.ts";
import { byId, copyText } from "./dom.ts";
import { BrowserEngine } from "./engines/browser_engine.ts";
import type { Engine, Question } from "./engines/engine.ts";
import { failureOf, isAbort } from "./failure.ts";
import { FailureCard } from "./failure_card.ts";
import { BUNDLED, choiceOf, isNano } from "./model/choices.ts";
import { ModelCache } from "./model/model_cache.ts";
import { ModelChip } from "./model/model_chip.ts";
import { ModelDialog } from "./model/model_dialog.ts";
import { ModelHost, type Target } from "./model/model_host.ts";
import { ResumeOffer } from "./model/resume_offer.ts";
import type { Size } from "./picture/geometry.ts";
import { listenForImages } from "./picture/inputs.ts";
import { Overlay } from "./picture/overlay.ts";
import { openImageAt, type PageImage } from "./picture/page_image.ts";
import { RegionPicker } from "./picture/region.ts";
import { type Sample, samples } from "./picture/samples.ts";
import { Stage } from "./picture/stage.ts";
import { Strip } from "./picture/strip.ts";
import { entryOf } from "./question/catalog.ts";
import { QuestionForm } from "./question/question_form.ts";
import { writeShared } from "./share.ts";

/** The page: its parts, and what passes between them. */
export class App {
  readonly #stage = new Stage();
  readonly #region = new RegionPicker();
  readonly #answer = new AnswerPanel();
  readonly #failure = new FailureCard();
  readonly #chip = new ModelChip();
  readonly #overlay: Overlay;
  readonly #objects: ObjectList;
  readonly #form: QuestionForm;
  readonly #strip: Strip;
  readonly #host: ModelHost;
  readonly #dialog: ModelDialog;
  readonly #rest: ResumeOffer;
  /** The last answer about each image. */
  readonly #answered = new Map<string, Exchange>();
  readonly #samples = new Map<Sample, Promise<PageImage>>();
  #image: PageImage | undefined;
  #asking: AbortController | undefined;

  constructor() {
    this.#overlay = new Overlay(byId<SVGSVGElement>("overlay"), byId("labels"), {
      onPoint: (index) => {
        this.#overlay.point(index);
        this.#objects.point(index);
      },
      onPick: (index) => this.#objects.pick(index),
    });
    this.#objects = new ObjectList(this.#overlay, (question) => this.#askAbout(question));
    this.#form = new QuestionForm(this.#region, {
      onAsk: (question) => void this.#ask(question),
      onCancel: () => this.#asking?.abort(),
      onTask: () => this.#suggest(),
    });
    this.#strip = new Strip(samples, {
      onPick: (image) => this.showImage(image),
      onSample: (sample) => void this.showSample(sample),
      onDrop: ({ id }) => this.#answered.delete(id),
    });
    this.#host = new ModelHost({
      onProgress: (progress) => {
        this.#chip.showProgress(progress);
        if (!progress && !this.#host.engine) this.#chip.showNone();
      },
      onEngine: (engine) => this.#useEngine(engine),
      onFailure: (failure, target) => {
        if (!this.#host.engine) this.#chip.showNone();
        this.#failure.show(failure, (remedy) => this.#remedy(remedy, target));
      },
      onWarning: (message) => console.warn(message),
    });
    const cache = new ModelCache();
    this.#dialog = new ModelDialog(cache, (target) => void this.open(target));
    this.#rest = new ResumeOffer(cache, (target) => void this.open(target));
    listenForImages({
      onImage: (image) => this.addImage(image),
      onFailure: (error) => this.#failure.show(failureOf(error), () => {}),
    });
    for (const id of ["model-chip", "get-model"])
      byId(id).addEventListener("click", () => this.#dialog.open(this.#host.target));
    byId("opening-cancel").addEventListener("click", () => this.#host.cancel());
    for (const button of document.querySelectorAll<HTMLElement>("dialog [data-close]"))
      button.addEventListener("click", () => button.closest("dialog")!.close());
    byId("share").addEventListener("click", () => void this.#share());
  }

  get form(): QuestionForm {
    return this.#form;
  }

  get region(): RegionPicker {
    return this.#region;
  }

  open(target: Target): Promise<void> {
    this.#failure.hide();
    this.#rest.hide();
    return this.#host.open(target);
  }

  /** Offers the rest of a download that was left, while another model is opened. */
  offerRest(opening: Target): Promise<void> {
    return this.#rest.show(opening);
  }

  /** Shows an own image from now on. */
  addImage(image: PageImage): void {
    this.#failure.hide();
    this.#strip.add(image);
    this.showImage(image);
  }

  /** Shows an image of the web, or says why it cannot be had. */
  async addImageAt(address: string): Promise<void> {
    try {
      this.addImage(await openImageAt(address));
    } catch (error) {
      this.#failure.show(failureOf(error), () => {});
    }
  }

  async showSample(sample: Sample): Promise<void> {
    try {
      if (!this.#samples.has(sample)) this.#samples.set(sample, sample.open());
      this.showImage(await this.#samples.get(sample)!);
    } catch (error) {
      this.#samples.delete(sample);
      this.#failure.show(failureOf(error), () => void this.showSample(sample));
    }
  }

  showImage(image: PageImage): void {
    if (image === this.#image) return;
    this.#asking?.abort();
    this.#image = image;
    this.#stage.show(image.url, image.name, image);
    this.#region.reset(image);
    this.#strip.mark(image);
    this.#suggest();
    this.#showHint();
    const exchange = this.#answered.get(image.id);
    if (exchange) this.#show(exchange);
    else {
      this.#answer.clear();
      this.#showObjects([]);
    }
    this.#form.isReady = this.#host.engine !== undefined;
  }

  #useEngine(engine: Engine): void {
    this.#failure.hide();
    this.#chip.showEngine(engine);
    this.#form.isReady = this.#image !== undefined;
    this.#showHint();
  }

  /** A question about a found object: the form shows it, too. */
  #askAbout(question: Question): void {
    this.#form.choose(question.task);
    if (question.region) this.#region.choose(question.region);
    this.#form.ask();
  }

  async #ask(question: Question): Promise<void> {
    const [image, engine] = [this.#image, this.#host.engine];
    if (!image || !engine) return;
    const asking = new AbortController();
    this.#asking = asking;
    this.#failure.hide();
    this.#form.isRunning = true;
    const isHere = engine.place === "browser";
    this.#answer.begin(
      entryOf(question.task).name,
      isHere ? "Looking at the picture …" : "The server answers …",
    );
    this.#showObjects([]);
    const listener = {
      onLooked: () => {
        if (isHere) this.#answer.stream("", 0);
      },
      onText: (text: string, tokens: number) => {
        if (!asking.signal.aborted) this.#answer.stream(text, tokens);
      },
    };
    try {
      const reply = await engine.ask(image, question, listener, asking.signal);
      const exchange = { image, question, reply };
      this.#answered.set(image.id, exchange);
      if (this.#image === image) this.#show(exchange);
    } catch (error) {
      if (this.#image === image) this.#answer.end(isAbort(error) ? "Cancelled." : "No answer.");
      if (!isAbort(error)) this.#failed(error, question);
    } finally {
      this.#asking = undefined;
      this.#form.isRunning = false;
    }
  }

  #failed(error: unknown, question: Question): void {
    const failure = failureOf(error);
    const target = this.#host.target!;
    if (isFatal(failure)) {
      this.#host.discard();
      this.#form.isReady = false;
      this.#chip.showNone();
    }
    this.#failure.show(failure, async (remedy) => {
      if (remedy === "retry" && this.#host.engine) return void this.#ask(question);
      this.#remedy(remedy, target);
    });
  }

  #remedy(remedy: Remedy, target: Target): void {
    const choice = target.place === "browser" ? target.choice : choiceOf({});
    const here = (changes: object) => void this.open({ place: "browser", choice: { ...choice, ...changes } });
    if (remedy === "retry") void this.open(target);
    if (remedy === "use-cpu") here({ device: "cpu" });
    if (remedy === "use-small") here({ dtype: "q8" });
    if (remedy === "use-bundled" || remedy === "use-browser") here({ source: BUNDLED, dtype: "auto" });
    if (remedy === "choose-model") this.#dialog.open(target);
  }

  #show(exchange: Exchange): void {
    const { image, question, reply } = exchange;
    const engine = this.#host.engine;
    const choice = engine instanceof BrowserEngine ? engine.choice : undefined;
    const { origin, key } = this.#dialog.address;
    const server = { origin, hasKey: key !== "" };
    const isBundled = choice?.source === BUNDLED;
    this.#answer.show(exchange, snippetsOf({ question, file: image.name, server, choice, isBundled }));
    this.#showObjects(reply.objects, reply);
  }

  #showObjects(objects: Exchange["reply"]["objects"], size: Size = this.#image!): void {
    this.#overlay.show(objects, size);
    this.#objects.show(objects);
  }

  /** A text for tasks that want one: the caption that was given last for grounding, else the sample's phrase. */
  #suggest(): void {
    const image = this.#image;
    if (!image) return;
    const last = this.#answered.get(image.id)?.reply.answer;
    const isGrounding = this.#form.task === "<CAPTION_TO_PHRASE_GROUNDING>";
    this.#form.suggest(isGrounding && typeof last === "string" ? last : (image.phrase ?? ""));
  }

  /** The bundled checkpoint cannot answer about photographs: the page says so beside one. */
  #showHint(): void {
    const model = this.#host.engine?.facts.model;
    byId("nano-hint").hidden = !(model && isNano(model) && this.#image && !this.#image.isSample);
  }

  async #share(): Promise<void> {
    const { task, text } = this.#form;
    const { input } = entryOf(task);
    const hash = writeShared({
      task,
      ...(input === "text" && { text }),
      ...(input === "region" && { region: this.#region.box }),
      ...(this.#image?.address && { image: this.#image.address }),
    });
    history.replaceState(null, "", hash);
    await copyText(location.href);
    const word = byId("share-word");
    word.textContent = this.#image?.address ? "Link copied" : "Link copied, without the picture";
    setTimeout(() => {
      word.textContent = "Share";
    }, 2500);
  }
}
