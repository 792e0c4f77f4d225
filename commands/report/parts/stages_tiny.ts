import { stagesPart } from "./stages.ts";

export default stagesPart("tiny", 4);
