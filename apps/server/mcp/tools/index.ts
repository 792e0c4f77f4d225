import { annotate } from "./annotate.ts";
import { crop } from "./crop.ts";
import { describeImage } from "./describe_image.ts";
import { describeRegion } from "./describe_region.ts";
import { detectObjects } from "./detect_objects.ts";
import { find } from "./find.ts";
import { florence2 } from "./florence2.ts";
import { readText } from "./read_text.ts";
import { segment } from "./segment.ts";
import type { Tool } from "./tool.ts";

/** All tools, in the order in which callers see them. */
export const tools: readonly Tool[] = [
  describeImage,
  detectObjects,
  find,
  readText,
  segment,
  describeRegion,
  crop,
  annotate,
  florence2,
];
