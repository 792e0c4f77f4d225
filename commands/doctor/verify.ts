import { basename, join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { Florence2Error } from "../../core/errors.ts";
import { hubEnvironment } from "../../files/hub/environment.ts";
import { repositoryOf } from "../../files/hub/repository.ts";
import type { EncodedImage } from "../../model/encoded_image.ts";
import type { Florence2 } from "../../model/florence2.ts";
import { parseAnswer } from "../../model/tasks/index.ts";
import { openModel } from "../open_model.ts";
import { readArguments } from "../options.ts";
import { fail, showProgress } from "../terminal.ts";
import { RECORDED_ANSWERS, type RecordedAnswer } from "./recorded_answers.ts";

const HELP = `florence2 verify [model] [options]

Asks the released weights what others have published their answers to, and says which of those hold: token for
token where tokens were recorded. Downloads what is missing: weights of 0.5 to 1.6 GB, and the images.

  model             a repository, or a folder of the same name, such as Florence-2-base (default: all recorded)
  --revision NAME   branch, tag or commit of the repository (default: main)
  --images FOLDER   where the images lie, by their names (default: they are fetched from the hub)
  --device NAME     auto, gpu or cpu (default: auto)
  --help
`;

/** Repositories of the recorded weights, by name. */
const REPOSITORIES: Readonly<Record<string, string>> = {
  "Florence-2-base": "florence-community/Florence-2-base",
  "Florence-2-large": "florence-community/Florence-2-large",
  "Florence-2-base-ft": "microsoft/Florence-2-base-ft",
};

/** The command `florence2 verify`; resolves to its exit code: 1 unless everything holds. */
export async function verifyReal(args: string[], recorded = RECORDED_ANSWERS): Promise<number> {
  return verify(args, recorded).catch(fail);
}

async function verify(args: string[], recorded: readonly RecordedAnswer[]): Promise<number> {
  const { values, positionals } = readArguments(args, {
    revision: { type: "string" },
    images: { type: "string" },
    device: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const known = [...new Set(recorded.map(({ weights }) => weights))];
  const sources = positionals.length > 0 ? positionals : known.map((name) => REPOSITORIES[name] ?? name);
  const unknown = sources.find((source) => !known.includes(basename(source)));
  if (unknown !== undefined) throw unknownWeights(unknown, known);

  const hub = repositoryOf("", await hubEnvironment()).endpoint;
  const placeOf = (path: string) =>
    values.images === undefined ? new URL(path, hub) : join(values.images, basename(path));
  let [held, asked] = [0, 0];
  for (const source of sources) {
    const model = await openModel(source, {
      revision: values.revision,
      device: values.device as "auto",
    });
    try {
      showProgress("");
      process.stdout.write(`${source} on ${model.device.name}\n`);
      const seen = new Map<string, EncodedImage>();
      for (const answer of recorded.filter(({ weights }) => weights === basename(source))) {
        const { image: path } = answer;
        const image = seen.get(path) ?? (await model.encodeImage(placeOf(path)));
        seen.set(path, image);
        const difference = await differenceFrom(model, image, answer);
        process.stdout.write(`  ${nameOf(answer)}: ${difference ?? "holds"}\n`);
        asked++;
        if (difference === undefined) held++;
      }
    } finally {
      model.dispose();
    }
  }
  process.stdout.write(`${held} of ${asked} recorded answers hold.\n`);
  return held === asked ? 0 : 1;
}

/** In words, what the model answers other than recorded; undefined if nothing. */
async function differenceFrom(
  model: Florence2,
  image: EncodedImage,
  { task, text, options, tokens, answer }: RecordedAnswer,
): Promise<string | undefined> {
  const found = await model.run(image, task, { ...options, text });
  if (tokens) {
    const length = Math.max(tokens.length, found.tokens.length);
    const at = Array.from({ length }, (_, i) => i).find((i) => tokens[i] !== found.tokens[i]);
    if (at === undefined) return undefined;
    const shown = (token: number | undefined) => token ?? "none";
    return `token ${at} is ${shown(found.tokens[at])} instead of ${shown(tokens[at])}: ${found.rawText}`;
  }
  const parsed = (generated: string) => parseAnswer(task, generated, found);
  return isDeepStrictEqual(parsed(found.rawText), parsed(answer!))
    ? undefined
    : `differs: ${found.rawText} instead of ${answer}`;
}

function nameOf({ image, task, text = "" }: RecordedAnswer): string {
  return `${task}${text} of ${basename(image)}`;
}

function unknownWeights(source: string, known: readonly string[]): Florence2Error {
  return new Florence2Error(
    "option_invalid",
    `No answers of ${basename(source)} were recorded, only of ${known.join(", ")}: give a repository, or a folder, of such a name.`,
    { source, known },
  );
}
