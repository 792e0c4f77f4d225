import { Florence2 } from "florence2-webgpu";

export const dynamic = "force-dynamic";

export async function GET() {
  const model = await Florence2.fromPretrained("public/nano", { device: "cpu" });
  const { answer } = await model.run("public/scene.png", "<CAPTION>", { numBeams: 1 });
  model.dispose();
  return Response.json({ answer });
}
