import { phasesPart } from "./phases.ts";

export default phasesPart("f32", 6);
