import { byId, copyText, html, icon, saveFile } from "../dom.ts";
import type { Reply, Times } from "../engines/engine.ts";
import { entryOf } from "../question/catalog.ts";
import { count, duration } from "../words.ts";
import { type Exchange, toCoco, toJson, toPng, toSvg } from "./exports.ts";
import type { Snippet } from "./snippets.ts";
import { listenToTabs } from "./tabs.ts";

/** How long "Copied" stands on a button, in milliseconds. */
const THANKS = 1500;

/** The answer in words, and as files and code. */
export class AnswerPanel {
  readonly #panel = byId("answer");
  readonly #title = byId("answer-title");
  readonly #status = byId("answer-status");
  readonly #text = byId("answer-text");
  readonly #notes = byId("answer-notes");
  readonly #code = byId("code");
  readonly #answerTab = byId("tab-answer");
  #exchange: Exchange | undefined;

  constructor() {
    listenToTabs(byId("answer-tabs"));
    const name = (ending: string) => `${this.#exchange!.image.name.replace(/\.\w+$/, "")}.${ending}`;
    const save = (id: string, ending: string, type: string, content: () => string | Promise<Blob>) =>
      byId(id).addEventListener("click", async () => {
        const made = await content();
        saveFile(name(ending), typeof made === "string" ? new Blob([made], { type }) : made);
      });
    save("save-json", "json", "application/json", () => toJson(this.#exchange!));
    save("save-coco", "coco.json", "application/json", () => toCoco(this.#exchange!));
    save("save-svg", "svg", "image/svg+xml", () => toSvg(this.#exchange!));
    save("save-png", "answer.png", "image/png", () => toPng(this.#exchange!));
    for (const [button, source] of [
      ["copy-text", "answer-text"],
      ["copy-json", "json"],
      ["copy-coco", "coco"],
      ["copy-svg", "svg"],
    ] as const)
      copying(byId(button), () => byId(source).textContent!);
  }

  /** Before anything was asked about an image. */
  clear(): void {
    this.#exchange = undefined;
    this.#panel.dataset.state = "idle";
    this.#title.textContent = "Answer";
    this.#status.textContent = "";
  }

  /** While the model works. */
  begin(title: string, status: string): void {
    this.#panel.dataset.state = "running";
    this.#answerTab.click();
    this.#title.textContent = title;
    this.#status.textContent = status;
    this.#text.textContent = "";
    this.#notes.replaceChildren();
  }

  /** A part of the answer came. */
  stream(text: string, tokens: number): void {
    this.#text.textContent = text;
    this.#status.textContent = `Answering … ${count(tokens, "token")}`;
  }

  show(exchange: Exchange, snippets: readonly Snippet[]): void {
    const { question, reply } = exchange;
    this.#exchange = exchange;
    this.#panel.dataset.state = "done";
    this.#title.textContent = entryOf(question.task).name;
    this.#status.textContent = timesOf(reply.times, reply.tokens);
    const isText = typeof reply.answer === "string";
    this.#text.textContent = isText ? reply.text || "(no words)" : summaryOf(reply);
    this.#text.classList.toggle("is-summary", !isText);
    byId("copy-text").hidden = !isText;
    this.#notes.replaceChildren(...notesOf(reply).map((note) => html("p", {}, note)));
    byId("json").textContent = toJson(exchange);
    byId("coco").textContent = toCoco(exchange);
    byId("svg").textContent = toSvg(exchange);
    this.#code.replaceChildren(...snippets.map(snippetOf));
  }

  /** The question was cancelled, or failed: the last answer is gone. */
  end(status: string): void {
    this.#panel.dataset.state = "ended";
    this.#status.textContent = status;
  }
}

function timesOf({ image, answer, way }: Times, tokens: number): string {
  return [
    image === undefined ? "" : `image ${duration(image)}`,
    `answer ${duration(answer)}`,
    way === undefined ? "" : `way and queue ${duration(way)}`,
    count(tokens, "token"),
  ]
    .filter(Boolean)
    .join(" · ");
}

function summaryOf({ objects }: Reply): string {
  if (objects.length === 0) return "Nothing was found.";
  const labels = new Map<string, number>();
  for (const { label } of objects) labels.set(label, (labels.get(label) ?? 0) + 1);
  const named = [...labels].filter(([label]) => label !== "");
  if (named.length === 0) return `${count(objects.length, "place")} found.`;
  return named.map(([label, number]) => (number === 1 ? label : `${label} × ${number}`)).join(", ");
}

function notesOf({ warnings, finishReason }: Reply): string[] {
  const cut = finishReason === "length" ? ["The answer reached the greatest length and may be cut off."] : [];
  return [...cut, ...warnings];
}

function snippetOf({ name, text }: Snippet): HTMLElement {
  const id = `code-${name.toLowerCase()}`;
  const copy = html(
    "button",
    { type: "button", class: "small", "aria-label": `Copy ${name}` },
    icon("copy"),
    "Copy",
  );
  copying(copy, () => text);
  return html(
    "section",
    { "aria-labelledby": `${id}-name` },
    html("div", { class: "file-bar" }, html("h3", { id: `${id}-name` }, name), copy),
    html("pre", { id, tabindex: 0, role: "region", "aria-label": `${name} code` }, text),
  );
}

function copying(button: HTMLElement, text: () => string): void {
  button.addEventListener("click", async () => {
    await copyText(text());
    const word = button.lastChild!;
    const before = word.textContent;
    if (before === "Copied") return;
    word.textContent = "Copied";
    setTimeout(() => {
      word.textContent = before;
    }, THANKS);
  });
}
