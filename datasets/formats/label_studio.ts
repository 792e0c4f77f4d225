/** Label Studio: tasks with predictions to be corrected, and the labelling configuration that shows them. */

import { type Field, hasMember, items, member, number, text, wholeFile } from "../../files/fields.ts";
import type { JsonValue } from "../../files/json.ts";
import { boundsOf } from "../geometry/boxes.ts";
import type { LabelledImage, LabelledObject } from "../labelled.ts";
import { element } from "../shared/xml.ts";
import {
  below,
  type Format,
  type Images,
  partOf,
  rounded,
  separated,
  splitsOf,
  type WriteOptions,
} from "./format.ts";

export const labelStudio: Format = {
  name: "labelstudio",
  about: "Label Studio: tasks.json with predictions, and the labelling configuration",
  *write(images, options) {
    for (const split of splitsOf(images)) {
      yield { path: below(split, "tasks.json"), content: writeLabelStudio(partOf(images, split), options) };
    }
    yield { path: "label_config.xml", content: [labelStudioConfig(images, options.classes)] };
  },
};

/** Where Label Studio serves files of its own disk (LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED). */
const LOCAL_FILES = "/data/local-files/?d=";
const VERSION = "florence-2";

/** A list of tasks in pieces: one image each, its things as a prediction in percent of the image. */
export function* writeLabelStudio(
  images: Images,
  { imagePrefix = LOCAL_FILES, model = VERSION }: WriteOptions,
): Generator<string> {
  yield "[\n";
  yield* separated(
    (function* () {
      for (const image of images) {
        const scores = image.objects.flatMap(({ score }) => (score === undefined ? [] : [score]));
        yield JSON.stringify({
          data: { image: `${imagePrefix}${image.file.split("/").map(encodeURIComponent).join("/")}` },
          predictions: [
            {
              model_version: model,
              ...(scores.length > 0 && { score: scores.reduce((sum, score) => sum + score) / scores.length }),
              result: image.objects.flatMap((object, i) => regionsOf(object, image, `object${i + 1}`)),
            },
          ],
        });
      }
    })(),
  );
  yield "]\n";
}

/** The region of a thing, and where something is written there a text with the same id. */
function regionsOf(object: LabelledObject, { width, height }: LabelledImage, id: string): object[] {
  const { label, box, polygons, quad, score, text: written } = object;
  const common = {
    id,
    to_name: "image",
    original_width: width,
    original_height: height,
    image_rotation: 0,
    ...(score !== undefined && { score }),
  };
  const percent = (points: readonly number[]) =>
    points.map((value, i) => rounded((100 * value) / (i % 2 === 0 ? width : height), 4));
  const rings = polygons ?? (quad && [quad]);
  const [left, top, right, bottom] = percent(box) as [number, number, number, number];
  const rectangle = {
    x: left,
    y: top,
    width: rounded(right - left, 4),
    height: rounded(bottom - top, 4),
    rotation: 0,
  };
  const shapes = rings
    ? rings.map((ring, i) => {
        const points = percent(ring);
        const pairs = points.flatMap((x, k) => (k % 2 === 0 ? [[x, points[k + 1]!]] : []));
        const value = { points: pairs, closed: true, polygonlabels: [label] };
        const own = i === 0 ? id : `${id}.${i + 1}`;
        return { ...common, id: own, type: "polygonlabels", from_name: "polygon", value };
      })
    : [
        {
          ...common,
          type: "rectanglelabels",
          from_name: "label",
          value: { ...rectangle, rectanglelabels: [label] },
        },
      ];
  if (written === undefined) return shapes;
  const value = { ...(rings ? {} : rectangle), text: [written] };
  return [...shapes, { ...common, type: "textarea", from_name: "text", value }];
}

/** The configuration to paste into a project: labels for boxes and, where images have them, outlines and texts. */
export function labelStudioConfig(images: Images, classes: readonly string[]): string {
  const [hasRings, hasTexts] = [
    some(images, ({ polygons, quad }) => polygons !== undefined || quad !== undefined),
    some(images, ({ text: written }) => written !== undefined),
  ];
  const labels = classes.map((value) => `\n    ${element("Label", { value })}`);
  const choice = (tag: string, name: string) =>
    `  ${element(tag, { name, toName: "image" }, ...labels, "\n  ")}\n`;
  return [
    "<View>\n",
    `  ${element("Image", { name: "image", value: "$image" })}\n`,
    choice("RectangleLabels", "label"),
    ...(hasRings ? [choice("PolygonLabels", "polygon")] : []),
    ...(hasTexts
      ? [`  ${element("TextArea", { name: "text", toName: "image", editable: "true", perRegion: "true" })}\n`]
      : []),
    "</View>\n",
  ].join("");
}

function some(images: Images, test: (object: LabelledObject) => boolean): boolean {
  for (const { objects } of images) if (objects.some(test)) return true;
  return false;
}

/**
 * Reads tasks: their annotations, or where there are none their predictions.
 *
 * @param file its name in messages
 * @throws {Florence2Error} `data_invalid`
 */
export function readLabelStudio(value: JsonValue, file: string): LabelledImage[] {
  return items(wholeFile(file, value, "data_invalid"), "a list of tasks").map((task) => {
    const path = text(member(member(task, "data"), "image"));
    const answers = ["annotations", "predictions"].flatMap((kind) =>
      hasMember(task, kind) ? items(member(task, kind)) : [],
    );
    const results = answers[0] ? items(member(answers[0], "result")) : [];
    const written = new Map<string, string>();
    for (const result of results) {
      if (text(member(result, "type")) !== "textarea") continue;
      written.set(
        text(member(result, "id")),
        items(member(member(result, "value"), "text"))
          .map(text)
          .join("\n"),
      );
    }
    const [first] = results;
    return {
      file: decodeURIComponent(path.replace(/^.*[?&]d=/, "")),
      width: first ? number(member(first, "original_width")) : 0,
      height: first ? number(member(first, "original_height")) : 0,
      objects: results.flatMap((result) => readRegion(result, written)),
    };
  });
}

function readRegion(result: Field, written: ReadonlyMap<string, string>): LabelledObject[] {
  const type = text(member(result, "type"));
  if (type !== "rectanglelabels" && type !== "polygonlabels") return [];
  const value = member(result, "value");
  const label = text(items(member(value, type))[0] ?? member(value, type));
  const [width, height] = [
    number(member(result, "original_width")),
    number(member(result, "original_height")),
  ];
  const known = written.get(text(member(result, "id")));
  const common = {
    label,
    ...(hasMember(result, "score") && { score: number(member(result, "score")) }),
    ...(known !== undefined && { text: known }),
  };
  if (type === "rectanglelabels") {
    const [x, y, w, h] = ["x", "y", "width", "height"].map((key) => number(member(value, key)) / 100) as [
      number,
      number,
      number,
      number,
    ];
    return [{ ...common, box: [x * width, y * height, (x + w) * width, (y + h) * height] }];
  }
  const ring = items(member(value, "points")).flatMap((pair) => {
    const [x, y] = items(pair).map((item) => number(item)) as [number, number];
    return [(x * width) / 100, (y * height) / 100];
  });
  const shape = ring.length === 8 ? { quad: ring } : { polygons: [ring] };
  return [{ ...common, box: boundsOf(ring), ...shape }];
}
