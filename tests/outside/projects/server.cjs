const { Florence2 } = require("florence2-webgpu");
const { drawAnswer } = require("florence2-webgpu/draw");

async function ask() {
  const model = await Florence2.fromPretrained("public/nano", { device: "cpu" });
  const { answer } = await model.run("public/scene.png", "<CAPTION>", { numBeams: 1 });
  model.dispose();
  console.log(
    JSON.stringify({
      answer,
      kind: "cpu",
      isDrawn: drawAnswer(answer, { width: 100, height: 100 }).includes("<svg"),
    }),
  );
}

ask();
