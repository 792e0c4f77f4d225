import { callsPart } from "./calls.ts";

export default callsPart("base", 14);
