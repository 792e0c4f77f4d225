import { constants } from "node:fs";
import { open, realpath, stat } from "node:fs/promises";
import { isAbsolute, relative, resolve } from "node:path";
import { ApiError } from "florence2-server/mcp";

/**
 * Reads files below some folders and no others, links followed.
 *
 * @param roots absolute paths
 * @param maxBytes of a file
 */
export class Roots {
  readonly #roots: readonly string[];
  readonly #maxBytes: number;

  constructor(roots: readonly string[], maxBytes: number) {
    this.#roots = roots;
    this.#maxBytes = maxBytes;
  }

  /**
   * The bytes of a file. A path that is not absolute begins at the first root.
   *
   * @throws {ApiError} `path_not_allowed` for what is outside, by its name or by a link; of such files nothing is
   *   told, not even whether they exist; `file_not_found`, `image_too_large` and `invalid_image` for others
   */
  async read(path: string): Promise<Uint8Array> {
    const [first] = this.#roots;
    if (first === undefined) throw this.#refused();
    const named = resolve(first, path);
    const roots = await Promise.all(this.#roots.map((root) => realpath(root).catch(() => root)));
    // A root that is a link itself may be named by either path.
    if (![...this.#roots, ...roots].some((root) => isWithin(root, named))) throw this.#refused();
    const real = await realpath(named).catch((error: NodeJS.ErrnoException) => {
      throw unreadable(path, error);
    });
    if (!roots.some((root) => isWithin(root, real))) throw this.#refused();
    return this.#contentOf(real, path);
  }

  /** The roots that are no folders, at the moment. */
  async missing(): Promise<string[]> {
    const are = await Promise.all(
      this.#roots.map((root) =>
        stat(root).then(
          (stats) => stats.isDirectory(),
          () => false,
        ),
      ),
    );
    return this.#roots.filter((_, i) => !are[i]);
  }

  async #contentOf(real: string, path: string): Promise<Uint8Array> {
    // A pipe must not hold the call up, and a link that appears now must not lead out.
    const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0);
    const file = await open(real, flags).catch((error: NodeJS.ErrnoException) => {
      throw unreadable(path, error);
    });
    try {
      const stats = await file.stat();
      if (!stats.isFile()) throw new ApiError(400, "invalid_image", `${shown(path)} is no file.`);
      if (stats.size > this.#maxBytes)
        throw new ApiError(
          413,
          "image_too_large",
          `${shown(path)} has ${stats.size} bytes; at most ${this.#maxBytes} are taken (--max-image-bytes).`,
        );
      return await file.readFile();
    } finally {
      await file.close();
    }
  }

  #refused(): ApiError {
    const allowed =
      this.#roots.length > 0
        ? `only files in ${this.#roots.join(", ")} are`
        : "no folder is allowed, since none was given";
    return new ApiError(
      403,
      "path_not_allowed",
      `The path is not allowed: ${allowed}. Start florence2-mcp with --root FOLDER to allow another folder.`,
    );
  }
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return !isAbsolute(way) && way !== ".." && !/^\.\.[\\/]/.test(way);
}

const shown = (path: string) => JSON.stringify(path.slice(0, 200));

function unreadable(path: string, { code }: NodeJS.ErrnoException): ApiError {
  const isMissing = code === "ENOENT" || code === "ENOTDIR";
  return isMissing
    ? new ApiError(404, "file_not_found", `There is no file ${shown(path)}.`)
    : new ApiError(403, "file_unreadable", `${shown(path)} cannot be read (${code}).`);
}
