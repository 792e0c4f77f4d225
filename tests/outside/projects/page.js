import { Florence2, parseAnswer } from "florence2-webgpu";
import { drawAnswer } from "florence2-webgpu/draw";
import { Tokenizer } from "florence2-webgpu/tokenizer";

async function ask() {
  const model = await Florence2.fromPretrained(new URL("/nano/", location.href), { device: "cpu" });
  const image = await (await fetch("/scene.png")).blob();
  const { answer } = await model.run(image, "<CAPTION>", { numBeams: 1 });
  model.dispose();
  const boxes = parseAnswer("<OD>", "boat<loc_1><loc_2><loc_300><loc_400>", { width: 100, height: 100 });
  if (!drawAnswer(boxes, { width: 100, height: 100 }).includes("<svg")) throw new Error("no drawing");
  const tokenizer = await Tokenizer.fromPretrained(new URL("/nano/", location.href));
  if (tokenizer.encode("a boat").length === 0) throw new Error("no tokens");
  return answer;
}

ask().then(
  (answer) => (globalThis.outcome = answer),
  (error) => (globalThis.outcome = String(error?.stack ?? error)),
);
