import { phasesPart } from "./phases.ts";

export default phasesPart("f16", 10);
