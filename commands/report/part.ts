/** The parts of a report: each runs in a process of its own and sends its results one by one. */

/** A line of a table, or a list of facts: plain values, for JSON. */
export type Row = Readonly<Record<string, unknown>>;

/** The means of a running part. */
export interface PartContext {
  readonly device: "gpu" | "cpu";
  /** Seconds until the part is ended; it should stop by itself before. */
  secondsLeft(): number;
  /** Facts of the part as a whole; later ones are added to earlier ones. */
  tell(facts: Row): void;
  add(row: Row): void;
  /** Names all items before the first, so that those that were never begun are counted too. */
  plan(names: readonly string[]): void;
  /** Says why the part cannot be run here. */
  absent(reason: string): void;
  /**
   * Does a piece of work that may fail or hang without the rest: its failure is recorded under its name. It is not
   * begun where time has run out, and not a second time after the process was started anew.
   */
  item(name: string, work: () => Promise<void>): Promise<void>;
}

export interface Part {
  readonly title: string;
  /** Its share of the time, beside those of the other parts. Time that it does not use goes to the parts behind it. */
  readonly weight: number;
  run(context: PartContext): Promise<void>;
  /** The results in Markdown, below the title. */
  inWords(findings: Findings): string;
}

/** An item, or the part, that failed. */
export interface Failure {
  readonly item?: string;
  readonly code?: string;
  readonly message: string;
}

/** The results of a part, complete or not. */
export interface Findings {
  readonly facts: Row;
  readonly rows: readonly Row[];
  readonly failures: readonly Failure[];
  /** Items for which there was not enough time. */
  readonly left: readonly string[];
}

/** How a part ended. */
export interface PartResult extends Findings {
  readonly part: string;
  readonly title: string;
  readonly outcome: "done" | "out of time" | "failed" | "absent" | "waiting";
  readonly seconds: number;
  /** Why it is absent. */
  readonly reason?: string;
}

/** A message from the process of a part to the one that started it. */
export type Message =
  | { readonly facts: Row }
  | { readonly row: Row }
  | { readonly planned: readonly string[] }
  | { readonly begun: string }
  | { readonly settled: string }
  | { readonly left: string }
  | { readonly failure: Failure }
  | { readonly ended: "done" | "failed" }
  | { readonly absent: string };
