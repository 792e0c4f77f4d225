import { rmSync } from "node:fs";
import { join } from "node:path";
import { Florence2Error } from "../core/errors.ts";
import {
  type AskedImage,
  type DataSet,
  openDataSet,
  type Prompt,
  pathOf,
} from "../datasets/truth/data_set.ts";
import { drawOnImage } from "../draw/image.ts";
import { makeFolder } from "../files/make_folder.ts";
import type { Florence2 } from "../model/florence2.ts";
import { loadSharp } from "../model/image/sharp.ts";
import { type ImageSize, type PixelBox, parseAnswer, tasks } from "../model/tasks/index.ts";
import { BUNDLED_DATA } from "./bundled.ts";
import { openModel } from "./open_model.ts";
import { DEVICES, modelOf, oneOf, readArguments } from "./options.ts";
import { counted, note } from "./terminal.ts";

const HELP = `florence2 gallery [options]

Asks every task about two images of a data set, and draws the answers.

  --model MODEL     a folder or repository (default: the bundled one)
  --data FILE       the data set (default: the held-out images of the bundled checkpoint)
  --output FOLDER   where the drawings go; the folder is replaced (default: examples/gallery)
  --device NAME     auto, gpu or cpu (default: auto)
  --help
`;

const SCENES = 2;
const COLUMNS = 3 * SCENES;
/** Widths in pixels: of an image, and of its copy in the overview. */
const [WIDTH, OVERVIEW_WIDTH] = [384, 320];
const GAP = 8;
const JPEG = { quality: 85, chromaSubsampling: "4:4:4" } as const;

/** The command `florence2 gallery`; resolves to its exit code. */
export async function gallery(args: string[]): Promise<number> {
  const { values } = readArguments(args, {
    model: { type: "string" },
    data: { type: "string", default: BUNDLED_DATA },
    output: { type: "string", default: "examples/gallery" },
    device: { type: "string", default: "auto" },
    help: { type: "boolean", short: "h" },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const dataSet = await openDataSet(values.data);
  const device = oneOf("device", values.device, DEVICES);
  const model = await openModel(modelOf(values.model), { device });
  try {
    const files = await drawGallery(model, dataSet, values.output);
    note(`${counted(files.length, "image")} in ${values.output}`);
    return 0;
  } finally {
    model.dispose();
  }
}

/**
 * Asks every task about two images of a data set and draws the answers: `TASK_1.jpg`, `TASK_2.jpg` and all
 * of them in `overview.jpg`. Images are taken in the order of the data set, whatever their answers, each for
 * one task as long as there are enough. The folder is replaced, once all is drawn.
 *
 * @returns the names of the files
 * @throws {Florence2Error} `data_invalid` if the data set asks none of the tasks; what the model throws
 */
export async function drawGallery(
  model: Pick<Florence2, "run">,
  dataSet: DataSet,
  folder: string,
): Promise<string[]> {
  const drawn: { name: string; png: Uint8Array }[] = [];
  for (const { image, prompt, scene } of chooseScenes(dataSet)) {
    const path = pathOf(dataSet, image);
    const { answer, width, height } = await model.run(path, prompt.task, { text: prompt.text });
    const region = regionOf(prompt, { width, height });
    const question = region || !prompt.text ? prompt.task : `${prompt.task} ${prompt.text}`;
    const png = await drawOnImage(path, answer, { question, region, scale: WIDTH / width });
    drawn.push({ name: `${prompt.task.slice(1, -1).toLowerCase()}_${scene}.jpg`, png });
  }
  const sharp = await loadSharp();
  const overview = await drawOverview(drawn.map(({ png }) => png));
  rmSync(folder, { recursive: true, force: true });
  makeFolder(folder);
  const files = [...drawn, { name: "overview.jpg", png: overview }];
  for (const { name, png } of files) await sharp(png).jpeg(JPEG).toFile(join(folder, name));
  return files.map(({ name }) => name);
}

/** Two images for each task that is asked, those first that no other task has. */
function chooseScenes({ name, images }: DataSet): { image: AskedImage; prompt: Prompt; scene: number }[] {
  const taken = new Set<AskedImage>();
  const scenes = tasks.flatMap(({ token }) => {
    const asked = images.filter(({ prompts }) => prompts.some(({ task }) => task === token));
    const fresh = asked.filter((image) => !taken.has(image));
    const chosen = [...new Set([...fresh, ...asked])].slice(0, SCENES);
    return chosen.map((image, i) => {
      taken.add(image);
      const prompt = image.prompts.find(({ task }) => task === token)!;
      return { image, prompt, scene: i + 1 };
    });
  });
  if (scenes.length > 0) return scenes;
  throw new Florence2Error("data_invalid", `${name} has no prompt for any of the tasks.`, { data: name });
}

/** The box that a prompt's location tags stand for: the same tags that an answer of boxes has. */
function regionOf({ task, text = "" }: Prompt, size: ImageSize): PixelBox | undefined {
  if (tasks.find(({ token }) => token === task)?.input !== "region") return undefined;
  const [box] = parseAnswer("<REGION_PROPOSAL>", text, size).bboxes;
  return box && { x1: box[0], y1: box[1], x2: box[2], y2: box[3] };
}

/** Images in rows, each row as high as the highest of them. As a PNG. */
async function drawOverview(images: readonly Uint8Array[]): Promise<Uint8Array> {
  const sharp = await loadSharp();
  const tiles: { input: Buffer; left: number; top: number }[] = [];
  let bottom = GAP;
  for (let from = 0; from < images.length; from += COLUMNS) {
    const top = bottom;
    for (const [column, image] of images.slice(from, from + COLUMNS).entries()) {
      const resized = sharp(image).resize(OVERVIEW_WIDTH).png();
      const { data: input, info } = await resized.toBuffer({ resolveWithObject: true });
      tiles.push({ input, left: GAP + column * (OVERVIEW_WIDTH + GAP), top });
      bottom = Math.max(bottom, top + info.height + GAP);
    }
  }
  const width = GAP + Math.min(COLUMNS, images.length) * (OVERVIEW_WIDTH + GAP);
  return sharp({ create: { width, height: bottom, channels: 3, background: "#e9ebf0" } })
    .composite(tiles)
    .png()
    .toBuffer();
}
