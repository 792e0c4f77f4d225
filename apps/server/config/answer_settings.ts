import { defaultSettings, type Settings } from "./settings.ts";

/** Settings that decide what an answer is: servers that share batches have them in common. */
const NAMES = [
  "model",
  "revision",
  "dtype",
  "defaultTask",
  "sampling",
  "maxImageBytes",
  "maxPixels",
  "maxChoices",
  "maxTasks",
  "imageUrls",
  "allowedMediaDomains",
  "imageUrlSchemes",
  "imageUrlTimeout",
] as const satisfies readonly (keyof Settings)[];

export type AnswerSettings = Pick<Settings, (typeof NAMES)[number]>;

export const answerSettings = (settings: Settings): AnswerSettings =>
  Object.fromEntries(NAMES.map((name) => [name, settings[name]])) as AnswerSettings;

/** The settings of a server that answers as `own` do. */
export const settingsWith = (own: AnswerSettings, others: Partial<Settings>): Settings => ({
  ...defaultSettings,
  ...own,
  ...others,
});
