import {
  type Field,
  hasMember,
  invalid,
  items,
  member,
  number,
  numbers,
  text,
  wholeFile,
} from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";
import type { AskedImage } from "./data_set.ts";
import type { TrueBoxes } from "./truth.ts";

/** COCO's test split of captions as papers use it (Karpathy and Fei-Fei, 2015). */
const SPLIT = "test";
const CAPTION_TASKS = ["<CAPTION>", "<DETAILED_CAPTION>", "<MORE_DETAILED_CAPTION>"];

/**
 * The images of a COCO file, in the order of their ids: captions (`captions_*.json`), detection
 * (`instances_*.json`), or Karpathy's captions (`dataset_coco.json`), of which the test split is taken.
 *
 * @param file its name in messages
 * @param task what captions are asked with; `<CAPTION>` if it is another task or none
 * @throws `data_invalid`
 */
export function readCoco(value: JsonValue, file: string, task = ""): AskedImage[] {
  const captionTask = CAPTION_TASKS.includes(task) ? task : "<CAPTION>";
  const root = wholeFile(file, value, "data_invalid");
  const images = items(member(root, "images"), "COCO's list of images");
  if (images[0] && hasMember(images[0], "sentences")) return readKarpathy(images, captionTask);
  const byId = new Map<number, { file: string; annotations: Field[] }>();
  for (const image of images) {
    const name = text(member(image, "file_name"));
    byId.set(number(member(image, "id")), { file: name, annotations: [] });
  }
  for (const annotation of items(member(root, "annotations"), "COCO's list of annotations")) {
    const id = member(annotation, "image_id");
    const image = byId.get(number(id));
    if (!image) throw invalid(id, "the id of an image of this file");
    image.annotations.push(annotation);
  }
  const sorted = [...byId].sort(([a], [b]) => a - b).map(([, image]) => image);
  if (!hasMember(root, "categories")) {
    return sorted
      .filter(({ annotations }) => annotations.length > 0)
      .map(({ file, annotations }) => {
        const truth = annotations.map((annotation) => text(member(annotation, "caption")));
        return { file, prompts: [{ task: captionTask, truth }] };
      });
  }
  const names = new Map<number, string>();
  for (const category of items(member(root, "categories"))) {
    names.set(number(member(category, "id")), text(member(category, "name")));
  }
  return sorted.map(({ file, annotations }) => ({
    file,
    prompts: [{ task: "<OD>", truth: readInstances(annotations, names) }],
  }));
}

function readInstances(annotations: readonly Field[], names: ReadonlyMap<number, string>): TrueBoxes {
  return {
    boxes: annotations.map((annotation) => {
      const expected = "four numbers: left, top, width, height";
      const box = numbers(member(annotation, "bbox"), expected, ({ length }) => length === 4);
      const [left, top, width, height] = box as [number, number, number, number];
      return [left, top, left + width, top + height];
    }),
    labels: annotations.map((annotation) => {
      const id = member(annotation, "category_id");
      const name = names.get(number(id));
      if (name === undefined) throw invalid(id, "the id of a category of this file");
      return name;
    }),
    areas: annotations.map((annotation) => number(member(annotation, "area"))),
    crowds: annotations.map((annotation) => number(member(annotation, "iscrowd")) === 1),
  };
}

function readKarpathy(images: readonly Field[], captionTask: string): AskedImage[] {
  return images
    .filter((image) => text(member(image, "split")) === SPLIT)
    .map((image) => ({
      file: `${text(member(image, "filepath"))}/${text(member(image, "filename"))}`,
      prompts: [
        {
          task: captionTask,
          truth: items(member(image, "sentences")).map((sentence) => text(member(sentence, "raw"))),
        },
      ],
    }));
}
