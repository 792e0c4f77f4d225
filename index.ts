/** The public surface of `florence2-webgpu`. */
export type { DeviceLike, DeviceOption } from "./core/device.ts";
export { type ErrorCode, Florence2Error } from "./core/errors.ts";
export type { Source } from "./files/files.ts";
export type { DownloadEvent, HubOptions } from "./files/open_model_files.ts";
export { openSafetensors } from "./files/tensors/safetensors.ts";
export type { TensorFile } from "./files/tensors/tensor_file.ts";
export type { Florence2Config } from "./model/config/config.ts";
export type { ImageConfig, InputSize } from "./model/config/image.ts";
export type { EncodedImage } from "./model/encoded_image.ts";
export { Florence2 } from "./model/florence2.ts";
export type { ForwardInput, ForwardOutput } from "./model/forward.ts";
export type { GenerationOptions } from "./model/generation/options.ts";
export type { DecidedTokens, StepReport } from "./model/generation/report.ts";
export { type Drawable, type ImageInput, type LoadImageOptions, loadImage } from "./model/image/load.ts";
export type { RawImage, RgbImage } from "./model/image/pixels.ts";
export { type PreprocessedImage, preprocessImage } from "./model/image/preprocess.ts";
export type { LoadOptions, ProgressEvent } from "./model/loading/load.ts";
export type {
  AskedTask,
  BatchItem,
  BatchOptions,
  Inputs,
  RunArguments,
  RunOptions,
} from "./model/questions.ts";
export type { Result, Sequence, StreamPart } from "./model/results.ts";
export {
  type Answer,
  type AnswerOf,
  type Answers,
  type BoxAnswer,
  type BoxOrPolygonAnswer,
  type Coordinates,
  type DetectedObject,
  decodeGenerated,
  defineTask,
  type GeneratedText,
  type ImageSize,
  type InputOf,
  type Labels,
  objectsOf,
  type ParseContext,
  type ParseOptions,
  type PixelBox,
  type PolygonAnswer,
  parseAnswer,
  parseLabelledBoxes,
  parseLabelledPolygons,
  parsePolygons,
  parseQuads,
  parseText,
  parseUnlabelledBoxes,
  type QuadAnswer,
  type Region,
  resolveTask,
  type ScoredTokens,
  type Task,
  type TaskDefinition,
  type TaskInput,
  type TaskOrPrompt,
  type TaskToken,
  tasks,
} from "./model/tasks/index.ts";
