/** Node 24 (`node examples/node.ts photo.jpg`) and Deno (`deno run -A examples/node.ts photo.jpg`) run this as it is. */
import { Florence2 } from "../index.ts";

const [path = new URL("scene.png", import.meta.url)] = process.argv.slice(2);
const model = await Florence2.fromPretrained(new URL("../checkpoints/nano/", import.meta.url));

const image = await model.encodeImage(path);
const { answer: caption } = await model.run(image, "<CAPTION>");
const { answer: objects } = await model.run(image, "<OD>");

console.log(caption);
for (const [i, label] of objects.labels.entries()) console.log(label, objects.bboxes[i], objects.scores?.[i]);
model.dispose();
