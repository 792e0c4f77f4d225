import { Florence2, parseAnswer } from "florence2-webgpu";
import { drawOnImage } from "florence2-webgpu/draw";

async function ask() {
  const [device = "cpu"] = process.argv.slice(2);
  const model = await Florence2.fromPretrained("public/nano", { device });
  const { answer } = await model.run("public/scene.png", "<CAPTION>", { numBeams: 1 });
  const { kind } = model.device;
  model.dispose();
  const boxes = parseAnswer("<OD>", "boat<loc_1><loc_2><loc_300><loc_400>", { width: 100, height: 100 });
  const png = await drawOnImage("public/scene.png", boxes);
  console.log(JSON.stringify({ answer, kind, isDrawn: png.length > 1000 }));
}

ask();
