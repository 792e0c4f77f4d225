/** `npm run build` in the folder of an app, and npm's own step before it is packed: builds the app, the library and the apps that it stands on. */
import { basename } from "node:path";
import { ensureApp, ensureBuild, ensurePackages } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureApp(basename(process.cwd()));
