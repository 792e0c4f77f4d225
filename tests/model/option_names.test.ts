import { describe, expect, it } from "vitest";
import { Florence2, loadImage } from "../../index.ts";
import { expectOptions } from "../../model/option_names.ts";
import { florenceError } from "../support/errors.ts";

describe("options that do not exist", () => {
  const cases: [Parameters<typeof expectOptions>[0], string, string][] = [
    ["run", "num_beams", "did you mean numBeams?"],
    ["run", "max_new_tokens", "did you mean maxNewTokens?"],
    ["run", "maxTokens", "did you mean maxNewTokens?"],
    ["run", "max_length", "did you mean maxNewTokens?"],
    ["run", "do_sample", "did you mean doSample?"],
    ["run", "top_k", "did you mean topK?"],
    ["run", "bbox", "did you mean region?"],
    ["run", "devices", "device is an option of fromPretrained"],
    ["run", "dtype", "dtype is an option of fromPretrained"],
    ["run", "torch_dtype", "dtype is an option of fromPretrained"],
    ["runBatch", "text", "text is an option of run, stream"],
    ["stream", "numbeams", "did you mean numBeams?"],
    ["fromPretrained", "devices", "did you mean device?"],
    ["fromPretrained", "torch_dtype", "did you mean dtype?"],
    ["fromPretrained", "device_map", "did you mean device?"],
    ["fromPretrained", "num_beams", "numBeams is an option of run, stream, runBatch"],
    ["encodeImage", "max_pixels", "did you mean maxPixels?"],
    ["loadImage", "toString", "its options are maxPixels, maxBytes"],
    ["loadImage", "__proto__x", "its options are"],
  ];
  it.each(cases)("%s { %s }: %s", (call, name, remedy) => {
    expect(() => expectOptions(call, { [name]: 1 })).toThrow(
      florenceError("option_invalid", `${call} has no option "${name}"`, remedy),
    );
  });

  it("may be undefined", () => {
    expect(() => expectOptions("run", { num_beams: undefined, numBeams: 1, text: undefined })).not.toThrow();
  });

  it("are refused before anything is read", async () => {
    await expect(loadImage("/nowhere.png", { maxpixels: 1 } as object)).rejects.toEqual(
      florenceError("option_invalid", "did you mean maxPixels?"),
    );
    await expect(Florence2.fromPretrained("/nowhere", { devices: "gpu" } as object)).rejects.toEqual(
      florenceError("option_invalid", "did you mean device?"),
    );
    expect(() => expectOptions("run", null as never)).toThrow(florenceError("option_invalid", "are null"));
  });
});
