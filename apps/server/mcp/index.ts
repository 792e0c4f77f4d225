/** The tools for programs that offer them by other ways than HTTP. */
export { SettingsError } from "../config/read_settings.ts";
export { flagOf, settingsByName, variableOf } from "../config/settings.ts";
export { ApiError } from "../http/errors.ts";
export { createLog, type Log } from "../http/log.ts";
export { createMcpServer } from "./create_mcp_server.ts";
export { type OpenTools, openTools } from "./open_tools.ts";
export { tools } from "./tools/index.ts";
