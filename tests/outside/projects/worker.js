import { Florence2 } from "florence2-webgpu";

async function ask() {
  const model = await Florence2.fromPretrained(new URL("/nano/", location.origin), { device: "cpu" });
  const image = await (await fetch(new URL("/scene.png", location.origin))).blob();
  return (await model.run(image, "<CAPTION>", { numBeams: 1 })).answer;
}

ask().then(postMessage, (error) => postMessage(String(error?.stack ?? error)));
