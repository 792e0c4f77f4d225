/** The public surface of `florence2-server`: the service as a web-standard handler. */
export { readSettings, SettingsError } from "./config/read_settings.ts";
export { defaultSettings, type Settings } from "./config/settings.ts";
export type { Answered, EncodedImage, Engine, Part, Question, Sequence } from "./engine/engine.ts";
export { type Listening, listen } from "./listen.ts";
export { createServer, type ServerOptions, type ServerParts } from "./server.ts";
