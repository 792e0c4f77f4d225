import type { TaskToken } from "florence2-webgpu";
import { byId, html } from "../dom.ts";
import type { Question } from "../engines/engine.ts";
import type { RegionPicker } from "../picture/region.ts";
import { type CatalogEntry, entryOf, groups, textsOf } from "./catalog.ts";

export interface QuestionListener {
  onAsk(question: Question): void;
  onCancel(): void;
  /** Another task was chosen. */
  onTask(entry: CatalogEntry): void;
}

/** The tasks, and the text or region that a task takes. */
export class QuestionForm {
  readonly #form = byId<HTMLFormElement>("question");
  readonly #help = byId("task-help");
  readonly #textField = byId("text-field");
  readonly #text = byId<HTMLInputElement>("text");
  readonly #textLabel = byId("text-label");
  readonly #textProblem = byId("text-problem");
  readonly #regionField = byId("region-field");
  readonly #run = byId<HTMLButtonElement>("run");
  readonly #cancel = byId<HTMLButtonElement>("cancel");
  readonly #region: RegionPicker;
  readonly #listener: QuestionListener;
  #isTyped = false;
  #isReady = false;
  #isRunning = false;

  constructor(region: RegionPicker, listener: QuestionListener) {
    [this.#region, this.#listener] = [region, listener];
    byId("tasks").append(...groups.map(({ name, entries }) => groupOf(name, entries)));
    this.#form.addEventListener("change", ({ target }) => {
      if ((target as HTMLInputElement).name === "task") this.#showTask();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask();
    });
    this.#text.addEventListener("input", () => {
      this.#isTyped = this.#text.value !== "";
      this.#complain("");
    });
    this.#cancel.addEventListener("click", () => listener.onCancel());
    document.addEventListener("keydown", (event) => {
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        this.ask();
      }
      if (event.key === "Escape" && this.#isRunning) listener.onCancel();
    });
    this.#showTask();
  }

  get task(): TaskToken {
    return new FormData(this.#form).get("task") as TaskToken;
  }

  get text(): string {
    return this.#text.value;
  }

  /** Chooses a task, and what it is about. */
  choose(task: TaskToken, text?: string): void {
    const radio = this.#form.querySelector<HTMLInputElement>(`input[value="${CSS.escape(task)}"]`)!;
    radio.checked = true;
    if (text !== undefined) {
      this.#text.value = text;
      this.#isTyped = true;
    }
    this.#showTask();
  }

  /** A text to begin with, unless the visitor wrote one. */
  suggest(text: string): void {
    if (!this.#isTyped) this.#text.value = text;
  }

  set isReady(isReady: boolean) {
    this.#isReady = isReady;
    this.#run.disabled = !isReady;
  }

  set isRunning(isRunning: boolean) {
    const hadFocus = document.activeElement === this.#run || document.activeElement === this.#cancel;
    this.#isRunning = isRunning;
    this.#run.hidden = isRunning;
    this.#cancel.hidden = !isRunning;
    if (hadFocus) (isRunning ? this.#cancel : this.#run).focus();
  }

  /** Asks what the form says, if it is whole and nothing is being answered. */
  ask(): void {
    const question = this.question();
    if (question && this.#isReady && !this.#isRunning) this.#listener.onAsk(question);
  }

  /** What the form asks; undefined, with a word beside the field, where a text is missing. */
  question(): Question | undefined {
    const entry = entryOf(this.task);
    if (entry.input === "region") return { task: entry.token, region: this.#region.box };
    if (entry.input === "none") return { task: entry.token };
    const text = textsOf(entry, this.#text.value);
    if (text.length > 0) return { task: entry.token, text };
    this.#complain(`Write what to look for, such as “${entry.field?.example}”.`);
    this.#text.focus();
    return undefined;
  }

  #complain(problem: string): void {
    this.#textProblem.textContent = problem;
    this.#text.setAttribute("aria-invalid", String(problem !== ""));
  }

  #showTask(): void {
    const entry = entryOf(this.task);
    this.#help.replaceChildren(`${entry.help} `, html("code", {}, entry.token));
    this.#textField.hidden = entry.input !== "text";
    this.#regionField.hidden = entry.input !== "region";
    this.#region.isOn = entry.input === "region";
    this.#complain("");
    if (entry.field) {
      this.#textLabel.textContent = entry.field.label;
      this.#text.placeholder = entry.field.example;
    }
    this.#listener.onTask(entry);
  }
}

function groupOf(name: string, entries: readonly CatalogEntry[]): HTMLElement {
  const choices = entries.map(({ token, name: short, help }) => {
    const radio = html("input", { type: "radio", name: "task", value: token, checked: token === "<OD>" });
    return html("label", { class: "choice", title: help }, radio, html("span", {}, short));
  });
  return html(
    "div",
    { class: "task-group", role: "group", "aria-label": name },
    html("span", { class: "task-group-name", "aria-hidden": "true" }, name),
    html("div", { class: "choices" }, ...choices),
  );
}
