/** Run by another runtime: answers a question on the CPU engine and forgets to dispose the model. */
import { Florence2 } from "../../index.ts";

const model = await Florence2.fromPretrained(new URL("../../checkpoints/nano/", import.meta.url), {
  device: "cpu",
});
const image = new URL("../../checkpoints/nano/heldout/000.jpg", import.meta.url);
console.log((await model.run(image, "<CAPTION>")).text);
