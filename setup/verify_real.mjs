/** `npm run verify:real [-- model]`: sets up what is missing, then asks released weights (see doctor/verify.ts). */
import { ensureAdapter, ensureBuild, ensurePackages } from "./steps.mjs";

ensurePackages();
ensureBuild();
ensureAdapter();
const { verifyReal } = await import("../dist/doctor/verify.js");
process.exitCode = await verifyReal(process.argv.slice(2));
