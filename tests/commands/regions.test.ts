import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { regions } from "../../commands/regions/regions.ts";
import { images, json, out, quiet, root, text } from "../support/image_folder.ts";
import { madeUp } from "../support/made_up_model.ts";

describe("florence2 regions", () => {
  it("asks about given boxes and gives them back with what is in them", async () => {
    const boxes = join(root, "boxes.csv");
    writeFileSync(
      boxes,
      "file,label,x1,y1,x2,y2\ne.jpg,cat,1,2,30,20\nb/a.png,dog,0,0,9,9\nb/a.png,dog,5,5,20,20\n",
    );
    const { model, asked } = madeUp();
    const args = [images, "--boxes", boxes, "--format", "csv", "--out", out("regions")];
    expect(await regions([...args, ...quiet], model)).toBe(0);
    expect(asked).toHaveLength(3);
    const rows = text("regions", "objects.csv").split("\r\n");
    expect(rows[1]).toBe("b/a.png,dog,0,0,9,9,,60,40,The image shows thing 1.,");
    expect(rows).toHaveLength(5);
    const outlines = [images, "--boxes", boxes, "--task", "segmentation", "--out", out("outlines"), ...quiet];
    expect(await regions(outlines, madeUp().model)).toBe(0);
    const { annotations } = json("outlines", "annotations", "instances.json");
    expect(annotations[2].segmentation).toEqual([[8, 5, 28, 5, 8, 25]]);
  });
});
