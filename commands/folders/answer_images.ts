import { Florence2Error } from "../../core/errors.ts";
import type { ImageAnswers, Question, StoredAnswer } from "../../datasets/answers.ts";
import type { PixelEdges } from "../../datasets/geometry/boxes.ts";
import type { LabelledObject } from "../../datasets/labelled.ts";
import type { EncodedImage } from "../../model/encoded_image.ts";
import type { Florence2 } from "../../model/florence2.ts";
import type { GenerationOptions } from "../../model/generation/options.ts";
import { loadImage } from "../../model/image/load.ts";
import type { RgbImage } from "../../model/image/pixels.ts";
import { loadSharp } from "../../model/image/sharp.ts";
import type { Result } from "../../model/results.ts";
import type { DetectedObject } from "../../model/tasks/index.ts";
import { checksumOf } from "./checksum.ts";
import type { ImageFile } from "./find_images.ts";

/** The questions of a command about images. */
export interface Job {
  /** The parts of an image that are looked at besides, or in place of, the whole: tiles. Default: the whole. */
  views?(size: { readonly width: number; readonly height: number }): readonly (PixelEdges | undefined)[];
  /**
   * The next questions about an image, given the answers to those before; none when all is asked.
   *
   * @param round counts from 0
   */
  ask(image: ImageAnswers, round: number): readonly Question[];
  /** Facts about an image before the model sees it. */
  known?(file: string): Pick<ImageAnswers, "given" | "existing">;
}

/** The outcome of an image. */
export type Outcome =
  | { readonly image: ImageFile; readonly answers: ImageAnswers }
  | { readonly image: ImageFile; readonly error: Florence2Error };

export interface AnswerOptions extends Pick<GenerationOptions, "maxNewTokens" | "numBeams" | "signal"> {
  /** Images that are seen at a time; their questions are answered together. */
  readonly batch: number;
}

type Model = Pick<Florence2, "encodeImage" | "runBatch">;

/** After these nothing works any more; all other errors belong to one image. */
const FATAL: readonly string[] = [
  "gpu_lost",
  "gpu_invalid",
  "gpu_out_of_memory",
  "cpu_failed",
  "cpu_out_of_memory",
  "disposed",
  "dependency_missing",
];

/**
 * Answers a job's questions, some images at a time, in their order. While the model answers those of one batch, the
 * images of the next are read, decoded and resized. An image that cannot be read, or a question that cannot be
 * answered, is an error of that image.
 *
 * @throws {Florence2Error} if the device fails; the signal's reason if it aborts
 */
export async function* answerImages(
  model: Model,
  images: readonly ImageFile[],
  job: Job,
  options: AnswerOptions,
): AsyncGenerator<readonly Outcome[]> {
  const { batch, signal } = options;
  const see = (from: number) => {
    if (from >= images.length) return undefined;
    const seen = Promise.all(
      images.slice(from, from + batch).map((image) => seeImage(model, image, job, signal)),
    );
    // A failure is met when its batch is due.
    seen.catch(() => {});
    return seen;
  };
  let next = see(0);
  for (let from = 0; next; from += batch) {
    const seen: readonly Seen[] = await next;
    signal?.throwIfAborted();
    next = see(from + batch);
    try {
      yield await answerSeen(model, seen, job, options);
    } catch (error) {
      for (const own of (await next?.catch(() => [])) ?? []) release(own);
      throw error;
    } finally {
      for (const own of seen) release(own);
    }
  }
}

/** An image that was looked at, or why it could not be. */
interface Seen {
  readonly image: ImageFile;
  readonly views: ReadonlyMap<string, EncodedImage>;
  answers: ImageAnswers | undefined;
  error: Florence2Error | undefined;
}

async function seeImage(model: Model, image: ImageFile, job: Job, signal?: AbortSignal): Promise<Seen> {
  const views = new Map<string, EncodedImage>();
  const seen: Seen = { image, views, answers: undefined, error: undefined };
  const { file, bytes, modified } = image;
  try {
    // Before the image is decoded: if it changes meanwhile, the next run finds another checksum.
    const sha256 = await checksumOf(image.path);
    const pixels = await loadImage(image.path, { signal });
    const orientation = await orientationOf(image.path);
    for (const view of job.views?.(pixels) ?? [undefined]) {
      const part = view ? crop(pixels, view) : pixels;
      views.set(String(view), await model.encodeImage({ ...part, channels: 3 }, { signal }));
    }
    seen.answers = {
      file,
      bytes,
      modified,
      sha256,
      width: pixels.width,
      height: pixels.height,
      ...(orientation !== 1 && { orientation }),
      ...job.known?.(file),
      answers: [],
    };
  } catch (error) {
    seen.error = errorOf(error);
  }
  return seen;
}

/** EXIF orientation of a readable image, 1 where none is written; sharp does not know BMP, which has none. */
async function orientationOf(path: string): Promise<number> {
  const sharp = await loadSharp();
  const metadata = await sharp(path)
    .metadata()
    .catch(() => undefined);
  return metadata?.orientation ?? 1;
}

function crop({ data, width }: RgbImage, [left, top, right, bottom]: PixelEdges): RgbImage {
  const [w, h] = [right - left, bottom - top];
  const part = new Uint8Array(3 * w * h);
  for (let y = 0; y < h; y++) {
    const from = 3 * ((top + y) * width + left);
    part.set(data.subarray(from, from + 3 * w), 3 * y * w);
  }
  return { data: part, width: w, height: h };
}

async function answerSeen(
  model: Model,
  seen: readonly Seen[],
  job: Job,
  options: AnswerOptions,
): Promise<Outcome[]> {
  for (let round = 0; ; round++) {
    const asked = seen.flatMap((own) =>
      own.answers && !own.error ? job.ask(own.answers, round).map((question) => ({ own, question })) : [],
    );
    if (asked.length === 0) break;
    const results = await ask(model, asked, options);
    for (const [i, { own, question }] of asked.entries()) {
      const result = results[i]!;
      if (result instanceof Florence2Error) own.error ??= result;
      else own.answers = { ...own.answers!, answers: [...own.answers!.answers, stored(question, result)] };
    }
  }
  return seen.map(({ image, answers, error }) => (error ? { image, error } : { image, answers: answers! }));
}

/** All questions at once; where that fails, one by one, so that only the one at fault goes without an answer. */
async function ask(
  model: Model,
  asked: readonly { readonly own: Seen; readonly question: Question }[],
  { numBeams, maxNewTokens, signal }: AnswerOptions,
): Promise<(Result<unknown> | Florence2Error)[]> {
  const options = { numBeams, maxNewTokens, signal };
  const items = asked.map(({ own, question }) => ({
    image: own.views.get(String(question.view))!,
    task: question.task,
    text: question.text,
    region: question.region && inView(question.region, question.view),
  }));
  try {
    return await model.runBatch(items, options);
  } catch (error) {
    const known = errorOf(error, signal);
    if (items.length === 1) return [known];
    const results: (Result<unknown> | Florence2Error)[] = [];
    for (const item of items) {
      results.push(
        await model.runBatch([item], options).then(
          ([result]) => result!,
          (own) => errorOf(own, signal),
        ),
      );
    }
    return results;
  }
}

function inView([left, top, right, bottom]: PixelEdges, view: PixelEdges = [0, 0, 0, 0]) {
  return { x1: left - view[0], y1: top - view[1], x2: right - view[0], y2: bottom - view[1] };
}

function stored(question: Question, result: Result<unknown>): StoredAnswer {
  const { answer, objects, text, rawText, tokens, score, finishReason } = result;
  return {
    ...question,
    answer,
    rawText,
    tokens,
    score,
    finishReason,
    objects: objects.map((object) => moved(object, question.view)),
    ...(typeof answer === "string" && { words: text }),
  };
}

/** From the corner of the view to that of the image. */
function moved(object: DetectedObject, view: PixelEdges = [0, 0, 0, 0]): LabelledObject {
  const move = (points: readonly number[]) => points.map((value, i) => value + view[i % 2]!);
  const { label, score, box, polygons, quad } = object;
  return {
    label,
    ...(score !== undefined && { score }),
    box: move(box) as PixelEdges,
    ...(polygons && { polygons: polygons.map(move) }),
    ...(quad && { quad: move(quad) }),
  };
}

/** @throws the error itself if nothing works after it */
function errorOf(error: unknown, signal?: AbortSignal): Florence2Error {
  if (signal?.aborted) throw error;
  if (!(error instanceof Florence2Error) || FATAL.includes(error.code)) throw error;
  return error;
}

function release({ views }: Seen): void {
  for (const view of views.values()) view.dispose();
}
