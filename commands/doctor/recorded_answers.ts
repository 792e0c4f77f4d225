import type { GenerationOptions } from "../../model/generation/options.ts";

/** A published answer of released weights. */
export interface RecordedAnswer {
  /** Which weights: the name of their repository without its owner. */
  readonly weights: string;
  /** Path on the hub, or URL. */
  readonly image: string;
  readonly task: string;
  readonly text?: string;
  readonly options: GenerationOptions;
  /** With the start and the end token. */
  readonly tokens?: readonly number[];
  /** Where tokens were not recorded: a text that the task's parser turns into the published answer. */
  readonly answer?: string;
}

/** `australia.jpg` is a stop sign in a street, `car.jpg` a green car before a yellow house. */
const FOLDER = "/datasets/huggingface/documentation-images/resolve/main/transformers/tasks";

/** transformers 4.57, tests/models/florence2/test_modeling_florence2.py: float32, Pillow's resize. */
function transformers(
  weights: string,
  image: string,
  task: string,
  text: string | undefined,
  tokens: readonly number[],
): RecordedAnswer {
  const options = { numBeams: 3, noRepeatNgramSize: 3, maxNewTokens: 100 };
  return { weights, image: `${FOLDER}/${image}.jpg`, task, text, options, tokens };
}

/**
 * sample_inference.ipynb of microsoft/Florence-2-base-ft, June 2024. That of Florence-2-large shows the same, so
 * that one of the two is not of the weights that it names.
 */
function notebook(task: string, text: string | undefined, answer: string): RecordedAnswer {
  const options = { numBeams: 3, earlyStopping: false, maxNewTokens: 1024 };
  return { weights: "Florence-2-base-ft", image: `${FOLDER}/car.jpg`, task, text, options, answer };
}

export const RECORDED_ANSWERS: readonly RecordedAnswer[] = [
  transformers(
    "Florence-2-base",
    "australia",
    "<DETAILED_CAPTION>",
    undefined,
    [
      2, 0, 133, 2274, 924, 10, 912, 1203, 2828, 15, 5, 526, 9, 10, 2014, 11, 35910, 6, 188, 469, 412, 4, 20,
      2014, 16, 9321, 19, 3413, 6, 3980, 6, 8, 19638, 6, 8, 89, 32, 82, 3051, 15, 5, 2767, 22609, 4, 20, 6360,
      16, 7097, 11, 5, 3618, 4, 2,
    ],
  ),
  transformers(
    "Florence-2-base",
    "australia",
    "<REGION_PROPOSAL>",
    undefined,
    [
      2, 0, 50269, 50269, 51267, 50980, 50269, 50269, 50688, 50942, 50269, 50333, 50633, 50941, 51033, 50269,
      51267, 50934, 50794, 50814, 51190, 51032, 50432, 50402, 50634, 50692, 50269, 50334, 50340, 50927, 51224,
      50417, 51267, 50930, 51076, 50944, 51159, 51028, 50836, 50947, 50915, 51030, 2,
    ],
  ),
  transformers(
    "Florence-2-base",
    "car",
    "<OPEN_VOCABULARY_DETECTION>",
    "wheels",
    [
      2, 0, 28884, 2507, 50413, 50839, 51139, 51047, 28884, 2507, 50980, 50842, 51135, 51043, 28884, 2507,
      50417, 50848, 50573, 51043, 2,
    ],
  ),
  transformers(
    "Florence-2-base",
    "australia",
    "<OCR>",
    undefined,
    [
      2, 0, 47643, 47240, 6382, 47643, 7405, 495, 211, 2571, 4014, 5733, 36714, 11582, 11582, 36714, 18164,
      9357, 36714, 6248, 3602, 37127, 27969, 7471, 44636, 23171, 41907, 27, 16948, 45895, 11582, 45262, 18537,
      530, 791, 384, 229, 791, 5733, 565, 3048, 673, 10932, 5733, 565, 11120, 673, 2,
    ],
  ),
  transformers(
    "Florence-2-base",
    "car",
    "<OD>",
    undefined,
    [
      2, 0, 5901, 50322, 50602, 51202, 51043, 11219, 3679, 50694, 50772, 50743, 50784, 13630, 50978, 50845,
      51134, 51041, 50419, 50853, 50578, 51042, 2,
    ],
  ),
  transformers(
    "Florence-2-base",
    "car",
    "<REFERRING_EXPRESSION_SEGMENTATION>",
    "a car",
    [
      2, 0, 50548, 50648, 50551, 50648, 50559, 50641, 50562, 50641, 50567, 50637, 50570, 50637, 50575, 50633,
      50579, 50631, 50584, 50629, 50589, 50627, 50593, 50624, 50600, 50622, 50606, 50620, 50612, 50618, 50618,
      50616, 50625, 50614, 50634, 50612, 50645, 50610, 50659, 50608, 50678, 50606, 50758, 50606, 50783, 50608,
      50797, 50610, 50808, 50612, 50816, 50614, 50822, 50616, 50828, 50618, 50835, 50620, 50841, 50622, 50847,
      50624, 50853, 50629, 50858, 50635, 50861, 50641, 50864, 50648, 50867, 50654, 50870, 50660, 50872, 50666,
      50875, 50670, 50877, 50677, 50880, 50683, 50883, 50689, 50886, 50695, 50889, 50702, 50895, 50710, 50900,
      50714, 50905, 50716, 50908, 50720, 50908, 50725, 50911, 50729, 2,
    ],
  ),
  transformers(
    "Florence-2-large",
    "car",
    "<CAPTION>",
    undefined,
    [2, 0, 102, 2272, 512, 9181, 11, 760, 9, 10, 5718, 745, 2],
  ),
  transformers(
    "Florence-2-large",
    "australia",
    "<DETAILED_CAPTION>",
    undefined,
    [
      2, 0, 133, 2274, 924, 10, 909, 512, 1428, 159, 10, 2014, 9321, 19, 6764, 3413, 4, 96, 5, 39299, 6, 89,
      16, 10, 1275, 912, 1203, 2828, 15, 5, 526, 9, 5, 921, 6, 8, 11, 5, 3618, 6, 89, 32, 1104, 19638, 6,
      3980, 6, 8, 10, 699, 2440, 6360, 4, 2,
    ],
  ),
  transformers(
    "Florence-2-large",
    "australia",
    "<REGION_PROPOSAL>",
    undefined,
    [
      2, 0, 0, 0, 50269, 50269, 51268, 50944, 50269, 50269, 50579, 50940, 51032, 50269, 51268, 50932, 50793,
      50813, 51190, 51031, 50432, 50401, 50632, 50691, 51071, 50943, 51159, 51027, 50835, 50946, 50915, 51029,
      2,
    ],
  ),
  transformers(
    "Florence-2-large",
    "car",
    "<OPEN_VOCABULARY_DETECTION>",
    "car",
    [2, 0, 5901, 50321, 50603, 51201, 51043, 2],
  ),
  transformers(
    "Florence-2-large",
    "australia",
    "<OCR_WITH_REGION>",
    undefined,
    [
      2, 0, 0, 0, 47643, 47240, 7487, 47643, 50802, 50337, 50922, 50337, 50922, 50397, 50802, 50397, 4652,
      50270, 50372, 50288, 50372, 50288, 50394, 50270, 50394, 495, 2571, 50401, 50455, 50446, 50457, 50446,
      50483, 50401, 50482, 4014, 5733, 50446, 50495, 50614, 50493, 50614, 50596, 50446, 50600, 530, 791, 673,
      51230, 50640, 51261, 50640, 51261, 50666, 51230, 50666, 5733, 565, 3048, 50389, 50683, 50461, 50684,
      50461, 50719, 50389, 50717, 7111, 230, 5061, 33893, 50707, 50668, 50755, 50668, 50755, 50682, 50707,
      50682, 10932, 50290, 50708, 50333, 50706, 50334, 50751, 50290, 50753, 4652, 51128, 50704, 51149, 50704,
      51149, 50729, 51128, 50729, 2,
    ],
  ),
  transformers(
    "Florence-2-large",
    "car",
    "<REFERRING_EXPRESSION_SEGMENTATION>",
    "a car",
    [
      2, 0, 0, 0, 50548, 50646, 50551, 50644, 50554, 50644, 50562, 50637, 50565, 50637, 50570, 50633, 50573,
      50633, 50578, 50629, 50582, 50627, 50587, 50625, 50592, 50623, 50597, 50621, 50603, 50619, 50609, 50616,
      50615, 50614, 50622, 50612, 50629, 50610, 50639, 50608, 50651, 50606, 50667, 50604, 50695, 50602, 50750,
      50602, 50778, 50604, 50793, 50606, 50805, 50608, 50812, 50610, 50818, 50612, 50825, 50614, 50831, 50616,
      50837, 50619, 50844, 50621, 50848, 50623, 50854, 50627, 50857, 50631, 50861, 50637, 50864, 50644, 50867,
      50650, 50870, 50656, 50873, 50662, 50875, 50668, 50878, 50673, 50879, 50679, 50883, 50685, 50886, 50691,
      50889, 50698, 50892, 50704, 50898, 50712, 50903, 50714, 2,
    ],
  ),
  notebook("<CAPTION>", undefined, "A green car parked in front of a yellow building."),
  notebook(
    "<DETAILED_CAPTION>",
    undefined,
    "The image shows a blue Volkswagen Beetle parked in front of a yellow building with two brown doors, surrounded by trees and a clear blue sky.",
  ),
  notebook(
    "<MORE_DETAILED_CAPTION>",
    undefined,
    "The image shows a vintage Volkswagen Beetle car parked on a cobblestone street in front of a yellow building with two wooden doors. The car is painted in a bright turquoise color and has a sleek, streamlined design. It has two doors on either side of the car, one on top of the other, and a small window on the front. The building appears to be old and dilapidated, with peeling paint and crumbling walls. The sky is blue and there are trees in the background.",
  ),
  notebook(
    "<OD>",
    undefined,
    "car<loc_52><loc_332><loc_932><loc_774>door<loc_709><loc_200><loc_907><loc_545>door<loc_351><loc_179><loc_521><loc_342>wheel<loc_702><loc_575><loc_866><loc_771>wheel<loc_142><loc_583><loc_309><loc_771>",
  ),
  notebook(
    "<DENSE_REGION_CAPTION>",
    undefined,
    "turquoise Volkswagen Beetle<loc_52><loc_332><loc_932><loc_774>wooden double doors with metal handles<loc_709><loc_201><loc_906><loc_545>wheel<loc_702><loc_575><loc_866><loc_772>wheel<loc_143><loc_583><loc_309><loc_772>door<loc_351><loc_179><loc_521><loc_342>",
  ),
  notebook(
    "<REGION_PROPOSAL>",
    undefined,
    "<loc_52><loc_332><loc_932><loc_774><loc_709><loc_200><loc_907><loc_545><loc_702><loc_575><loc_866><loc_771><loc_142><loc_583><loc_309><loc_771><loc_350><loc_177><loc_521><loc_342><loc_428><loc_372><loc_612><loc_475><loc_258><loc_372><loc_413><loc_480>",
  ),
  notebook(
    "<CAPTION_TO_PHRASE_GROUNDING>",
    "A green car parked in front of a yellow building.",
    "A green car<loc_53><loc_331><loc_909><loc_780>a yellow building<loc_2><loc_8><loc_998><loc_635>",
  ),
  notebook("<OPEN_VOCABULARY_DETECTION>", "a green car", "a green car<loc_53><loc_330><loc_909><loc_779>"),
  notebook(
    "<REGION_TO_CATEGORY>",
    "<loc_52><loc_332><loc_932><loc_774>",
    "car<loc_52><loc_332><loc_932><loc_774>",
  ),
  notebook(
    "<REGION_TO_DESCRIPTION>",
    "<loc_52><loc_332><loc_932><loc_774>",
    "turquoise Volkswagen Beetle<loc_52><loc_332><loc_932><loc_774>",
  ),
];
