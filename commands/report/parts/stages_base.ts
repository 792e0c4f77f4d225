import { stagesPart } from "./stages.ts";

export default stagesPart("base", 12);
