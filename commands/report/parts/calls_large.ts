import { callsPart } from "./calls.ts";

export default callsPart("large", 8);
