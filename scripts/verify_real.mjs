/** `npm run verify:real [-- model]`: sets up what is missing, then asks released weights (see commands/doctor/verify.ts). */
import { ensureAdapter, ensureBuild, ensurePackages } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureAdapter();
const { verifyReal } = await import("../dist/commands/doctor/verify.js");
process.exitCode = await verifyReal(process.argv.slice(2));
