/** How far the files of a model are; names and fields are those that transformers.js users know. */
export type DownloadEvent =
  | {
      readonly status: "initiate" | "download" | "done";
      /** Id of the repository. */
      readonly name: string;
      readonly file: string;
    }
  | (Amount & { readonly status: "progress"; readonly name: string; readonly file: string })
  | (Amount & {
      readonly status: "progress_total";
      readonly name: string;
      readonly files: Readonly<Record<string, { readonly loaded: number; readonly total: number }>>;
    });

interface Amount {
  /** Bytes. */
  readonly loaded: number;
  /** Bytes. */
  readonly total: number;
  /** Percent. */
  readonly progress: number;
}

/** The progress of a repository's files, reported to the listener. */
export class Progress {
  readonly #name: string;
  readonly #emit: (event: DownloadEvent) => void;
  readonly #files: Record<string, { loaded: number; total: number }> = {};

  constructor(name: string, emit: (event: DownloadEvent) => void = () => {}) {
    this.#name = name;
    this.#emit = emit;
  }

  step(status: "initiate" | "download" | "done", file: string): void {
    this.#emit({ status, name: this.#name, file });
  }

  /** A file that is going to be loaded, in bytes: counts in the total from here on. */
  expect(file: string, total: number): void {
    this.#files[file] ??= { loaded: 0, total };
  }

  advance(file: string, loaded: number, total: number): void {
    const [name, files] = [this.#name, this.#files];
    files[file] = { loaded, total };
    this.#emit({ status: "progress", name, file, ...amount(loaded, total) });
    const sum = (key: "loaded" | "total") => Object.values(files).reduce((bytes, one) => bytes + one[key], 0);
    this.#emit({
      status: "progress_total",
      name,
      files: { ...files },
      ...amount(sum("loaded"), sum("total")),
    });
  }
}

function amount(loaded: number, total: number): Amount {
  return { loaded, total, progress: total > 0 ? (100 * loaded) / total : 100 };
}
