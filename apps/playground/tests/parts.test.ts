/** Parts of the page that need no browser. */
import { tasks } from "florence2-webgpu";
import { describe, expect, it } from "vitest";
import { adviceFor } from "../page/advice.ts";
import { Failure } from "../page/failure.ts";
import { DownloadMeter } from "../page/model/download_meter.ts";
import { fitted, keyed, middleOf, moved, sized } from "../page/picture/geometry.ts";
import { placeLabels } from "../page/picture/label_places.ts";
import { entryOf, groups, textsOf } from "../page/question/catalog.ts";
import { readShared, writeShared } from "../page/share.ts";

const SIZE = { width: 100, height: 50 };

describe("tasks", () => {
  it("are the library's, each once, with a field where a text is taken", () => {
    const shown = groups.flatMap(({ entries }) => entries);
    expect(shown.map(({ token }) => token).sort()).toEqual(tasks.map(({ token }) => token).sort());
    for (const { input, field } of shown) expect(field !== undefined).toBe(input === "text");
  });

  it("take one text or a list", () => {
    expect(textsOf(entryOf("<OPEN_VOCABULARY_DETECTION>"), " a dog, ;a cat\n")).toEqual(["a dog", "a cat"]);
    expect(textsOf(entryOf("<CAPTION_TO_PHRASE_GROUNDING>"), "A dog, a cat.")).toBe("A dog, a cat.");
  });
});

describe("regions", () => {
  it("stay inside the image, a pixel wide at least", () => {
    expect(middleOf(SIZE)).toEqual([25, 13, 75, 37]);
    expect(middleOf({ width: 1, height: 1 })).toEqual([0, 0, 1, 1]);
    expect(fitted([300, -5, 90, 20.4], SIZE)).toEqual([90, 0, 100, 20]);
    expect(moved([10, 10, 30, 30], 500, -500, SIZE)).toEqual([80, 0, 100, 20]);
    expect(sized([10, 10, 30, 30], -500, 500, SIZE)).toEqual([10, 10, 11, 50]);
  });

  it("follow arrow keys and no others", () => {
    const key = (name: string, more = {}) => ({ key: name, shiftKey: false, altKey: false, ...more });
    expect(keyed([10, 10, 30, 30], key("ArrowLeft"), SIZE)).toEqual([8, 10, 28, 30]);
    expect(keyed([10, 10, 30, 30], key("ArrowDown", { shiftKey: true, altKey: true }), SIZE)).toEqual([
      10, 10, 30, 31,
    ]);
    expect(keyed([10, 10, 30, 30], key("a"), SIZE)).toBeUndefined();
  });
});

describe("labels", () => {
  it("cover each other as little as there is room for", () => {
    const label = { width: 20, height: 10, anchor: [5, 30, 40, 60] as const };
    const room = { width: 99, height: 99 };
    expect(placeLabels([label, label], room)).toEqual([
      { left: 5, top: 20 },
      { left: 5, top: 60 },
    ]);
    expect(placeLabels([{ ...label, anchor: [-9, -9, 99, 99] }], room)).toEqual([{ left: 0, top: 0 }]);
  });
});

describe("links", () => {
  it("say what was asked", () => {
    const shared = {
      task: "<REGION_TO_OCR>",
      text: "ä & b",
      region: [1, 2, 3, 4],
      image: "samples/scene.png",
    } as const;
    expect(readShared(writeShared(shared))).toEqual(shared);
  });

  it.each([
    "#task=<script>&region=1,2,3&image=javascript:alert(1)",
    "#task=OD%00&region=1e99,NaN,-1,0&image=data:text/html,x",
    "#task=__proto__&image=samples/../../etc/passwd&region=a,b,c,d",
    "#%E0%A4%A",
  ])("by others do nothing: %s", (hash) => expect(readShared(hash)).toEqual({}));
});

describe("progress", () => {
  it("tells bytes, speed and the time left, and never falls", () => {
    const meter = new DownloadMeter();
    const event = (loaded: number) =>
      ({
        status: "progress_total",
        name: "x",
        files: {},
        loaded,
        total: 100e6,
        progress: loaded / 1e6,
      }) as const;
    expect(meter.take(event(0), 0)).toEqual({ text: "0.0 kB of 100 MB", percent: 0 });
    expect(meter.take(event(20e6), 2000)).toEqual({
      text: "20 MB of 100 MB · 10 MB/s · 8.0 s left",
      percent: 20,
    });
    expect(meter.take(event(10e6), 3000)!.percent).toBe(20);
  });

  it("does not take for speed what was here before", () => {
    const meter = new DownloadMeter();
    const event = (loaded: number) =>
      ({
        status: "progress_total",
        name: "x",
        files: { weights: { loaded, total: 100e6 } },
        loaded,
        total: 100e6,
        progress: loaded / 1e6,
      }) as const;
    meter.take(event(0), 0);
    meter.take(event(50e6), 1000);
    expect(meter.take(event(60e6), 2000)!.text).toBe("60 MB of 100 MB · 5.0 MB/s · 8.0 s left");
  });
});

describe("advice", () => {
  it("has a remedy for every failure, and says what it does not know", () => {
    expect(adviceFor(new Failure("checkpoint_mismatch", "no such tensor"))).toMatchObject({
      title: "This is no Florence-2 model",
      text: "no such tensor",
    });
    expect(adviceFor(new Failure("new_code", "odd"))).toMatchObject({
      text: "odd (new_code)",
      remedies: ["retry"],
    });
    expect(adviceFor(new Failure("download_failed", "x"), false).title).toMatch(/off line/);
  });
});
