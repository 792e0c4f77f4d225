import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { Source } from "../../files/files.ts";
import { type ModelOptions, readModelFiles } from "../../model/loading/read_model_files.ts";
import { florenceError } from "../support/errors.ts";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
type Folder = Record<string, Uint8Array>;

/** The files of a fixture's folder by name, below a folder of that name if one is given. */
function folder(name: string, below = ""): Folder {
  const path = `${fixtures}${name}/`;
  return Object.fromEntries(readdirSync(path).map((file) => [below + file, readFileSync(path + file)]));
}
function only(files: Folder, ...names: string[]): Folder {
  return Object.fromEntries(Object.entries(files).filter(([name]) => names.includes(name)));
}
const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** What opening says of a model, and its warnings. */
async function opened(source: Source, options: ModelOptions = {}) {
  const warnings: string[] = [];
  const model = await readModelFiles(source, { ...options, onWarning: (message) => warnings.push(message) });
  const values = await model.checkpoint.readRows("language_model.model.encoder.layers.0.fc1.weight", 0, 2);
  await model.checkpoint.close();
  return { ...model, warnings, values };
}

const model = folder("flavours/transformers");
const { "preprocessor_config.json": _, ...withoutImages } = model;
const adapter = folder("flavours/adapter");
const adapterAlone = only(adapter, "adapter_config.json", "adapter_model.safetensors");
const base = only(
  adapter,
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "preprocessor_config.json",
  "tokenizer.json",
);

describe("a folder of transformers 5", () => {
  const written = JSON.parse(readFileSync(`${fixtures}processor/processor_config.json`, "utf8"));

  it("has the settings of images in processor_config.json", async () => {
    expect(written.image_processor.size).toEqual({ width: 128, height: 128 });
    const image_processor = { ...written.image_processor, size: { width: 32, height: 48 } };
    const files = { ...withoutImages, "processor_config.json": json({ ...written, image_processor }) };
    const { imageConfig, warnings } = await opened(files);
    expect(imageConfig).toMatchObject({ width: 32, height: 48, mean: [0.485, 0.456, 0.406] });
    expect(warnings).toEqual([]);
  });

  it("is not taken for the release without a word if it says nothing of images", async () => {
    await expect(opened(withoutImages)).rejects.toEqual(florenceError("config_invalid", "768 x 768"));
    const { imageConfig, warnings } = await opened(withoutImages, { imageSize: 48 });
    expect(imageConfig).toMatchObject({ width: 48, height: 48 });
    expect(warnings).toEqual([
      expect.stringContaining("neither preprocessor_config.json nor processor_config.json"),
    ]);
  });
});

describe("a captioner of three files", () => {
  const three = only(
    folder("flavours/transformers", "icon_caption/"),
    "icon_caption/config.json",
    "icon_caption/generation_config.json",
    "icon_caption/model.safetensors",
  );
  const tokenizer = only(model, "tokenizer.json", "tokenizer_config.json");

  it("takes the tokenizer of another model", async () => {
    const options = { subfolder: "icon_caption", tokenizer, imageSize: 48 };
    const { values, tokenizer: found } = await opened(three, options);
    expect(values).toEqual((await opened(model)).values);
    expect(found.vocabularySize).toBeGreaterThan(1000);
  });

  it("says what is missing, and how to give it", async () => {
    const options = { subfolder: "icon_caption", imageSize: 48 };
    await expect(opened(three, options)).rejects.toEqual(
      florenceError(
        "file_not_found",
        "tokenizer.json",
        'option tokenizer, such as "microsoft/Florence-2-base"',
      ),
    );
    await expect(opened(three, { ...options, subfolder: "../x" })).rejects.toEqual(
      florenceError("option_invalid", "subfolder"),
    );
    await expect(opened(three, { ...options, tokenizer, imageSize: 4096 })).rejects.toEqual(
      florenceError("option_invalid", "4096 x 4096"),
    );
  });

  it("may keep the size of images", async () => {
    const { imageConfig } = await opened({
      ...model,
      "preprocessor_config.json": json({ do_resize: false, size: 48 }),
    });
    expect(imageConfig.keepSize).toBe(true);
  });
});

describe("an adapter in a folder of its own", () => {
  it("is merged into the model that it is given to, that lies in base/, or that it names", async () => {
    const { values } = await opened(adapter);
    expect(values).not.toEqual((await opened(base)).values);
    expect((await opened(base, { adapter: adapterAlone })).values).toEqual(values);

    const within = Object.fromEntries(Object.entries(base).map(([name, bytes]) => [`base/${name}`, bytes]));
    expect((await opened({ ...adapterAlone, ...within })).values).toEqual(values);

    const config = JSON.parse(new TextDecoder().decode(adapterAlone["adapter_config.json"]));
    const named = { ...config, base_model_name_or_path: `${fixtures}flavours/transformers`, revision: null };
    const files = { ...adapterAlone, "adapter_config.json": json(named) };
    expect((await opened(files)).checkpoint.layout).toBe("transformers");
  });

  it("says so if its base cannot be found", async () => {
    for (const base_model_name_or_path of [null, "", "https://example.org/model", "./none/of/these"]) {
      const config = JSON.parse(new TextDecoder().decode(adapterAlone["adapter_config.json"]));
      const files = { ...adapterAlone, "adapter_config.json": json({ ...config, base_model_name_or_path }) };
      await expect(opened(files)).rejects.toEqual(
        florenceError("file_not_found", "is an adapter", "option adapter"),
      );
    }
  });
});
