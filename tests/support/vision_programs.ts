import { vi } from "vitest";
import type { Florence2 } from "../../index.ts";
import { VisionSession } from "../../model/vision_session.ts";

/** Has a model encode images together, so that it holds its programs for two and four: it keeps them. */
export async function openVisionPrograms(model: Florence2): Promise<void> {
  const open = vi.spyOn(VisionSession, "open");
  const counts = () => open.mock.calls.map(([, , , , options]) => options?.images);
  while (!counts().includes(2) || !counts().includes(4)) {
    const images = Array.from({ length: 7 }, (_, i) =>
      model.encodeImage({ data: new Uint8Array(3).fill(i), width: 1, height: 1, channels: 3 }),
    );
    for (const image of await Promise.all(images)) image.dispose();
  }
  open.mockRestore();
}
