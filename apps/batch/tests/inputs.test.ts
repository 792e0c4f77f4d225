import { execFileSync } from "node:child_process";
import { linkSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { describe, expect, it } from "vitest";
import { FETCH_DEFAULTS, urlFetcher } from "../inputs/fetch_url.ts";
import { findItems } from "../inputs/find_items.ts";
import { itemLoader } from "../inputs/load_item.ts";
import { folderOf, never, newFolder } from "./support/runs.ts";

const keys = async (inputs: string[], options = {}) =>
  (await findItems(inputs, options)).map(({ key }) => key).sort();

describe("images of a run", () => {
  const folder = folderOf({
    "a.jpg": "a",
    "b.PNG": "bb",
    ".hidden.jpg": "h",
    "notes.txt.md": "n",
    "cats/c.webp": "c",
    "cats/deep/d.jpg": "d",
  });

  it("come from folders, as far down as is said", async () => {
    expect(await keys([folder])).toEqual(["a.jpg", "b.PNG"]);
    expect(await keys([folder], { recursive: true })).toEqual([
      "a.jpg",
      "b.PNG",
      "cats/c.webp",
      "cats/deep/d.jpg",
    ]);
  });

  it("come from patterns and single files", async () => {
    expect(await keys([`${folder}/**/*.jpg`])).toEqual(["a.jpg", "cats/deep/d.jpg"]);
    expect(await keys([`${folder}/*.jpg`])).toEqual(["a.jpg"]);
    expect(await keys([`${folder}/**/*.{jpg,webp}`])).toEqual(["a.jpg", "cats/c.webp", "cats/deep/d.jpg"]);
    expect(await keys([`${folder}/[ab].*`])).toEqual(["a.jpg", "b.PNG"]);
    expect(await keys([`${folder}/[!a].p?g`])).toEqual(["b.PNG"]);
    expect(await keys([join(folder, "a.jpg")])).toEqual([join(folder, "a.jpg")]);
  });

  it("keep a link to nothing, which has a row then; folders and pipes are no images", async () => {
    const odd = folderOf({ "a.jpg": "a", "folder.jpg/note": "n", "-q\"uo'te\n é 写.jpg": "b" });
    symlinkSync("nowhere.jpg", join(odd, "link.jpg"));
    execFileSync("mkfifo", [join(odd, "pipe.jpg")]);
    expect(await keys([odd])).toEqual(["-q\"uo'te\n é 写.jpg", "a.jpg", "link.jpg"]);
  });

  it("come from lists, with texts and regions of their own", async () => {
    const list = folderOf({
      "list.jsonl":
        '{"path":"a.jpg","text":"a cat"}\n{"key":"k","url":"https://img.example/b.jpg"}\n"c.jpg"\n',
      "list.csv": 'image,key,region\n"d,e.jpg",one,"1,2,3,4"\nf.jpg,two,\n',
      "numbers.jsonl": '{"path":"a.jpg","key":7}\n{"path":"b.jpg","key":8}\n',
      "list.txt": "g.jpg\nhttps://img.example/h.jpg\n",
      "bad.jsonl": '{"path":"a.jpg"}\n{"nothing":1}\n',
    });
    expect(await findItems([join(list, "list.jsonl")])).toEqual([
      { key: "a.jpg", url: join(list, "a.jpg"), text: "a cat" },
      { key: "k", url: "https://img.example/b.jpg" },
      { key: "c.jpg", url: join(list, "c.jpg") },
    ]);
    expect(await findItems([join(list, "list.csv")])).toEqual([
      { key: "one", url: join(list, "d,e.jpg"), region: [1, 2, 3, 4] },
      { key: "two", url: join(list, "f.jpg") },
    ]);
    expect(await keys([join(list, "numbers.jsonl")])).toEqual(["7", "8"]);
    expect(await keys([join(list, "list.txt")])).toEqual(["g.jpg", "https://img.example/h.jpg"]);
    await expect(findItems([join(list, "bad.jsonl")])).rejects.toThrow(
      /row 2 has no image .* it has nothing/,
    );
    const columnData = [{ name: "photo", data: ["x.jpg", "y.jpg"], type: "STRING" as const }];
    writeFileSync(join(list, "list.parquet"), new Uint8Array(parquetWriteBuffer({ columnData })));
    expect(await keys([join(list, "list.parquet")], { column: "photo" })).toEqual(["x.jpg", "y.jpg"]);
  });

  it("come from tar files of GNU and pax, long names too, each read alone", async () => {
    const long = `${"deep/".repeat(30)}e.jpg`;
    const source = folderOf({ "a.jpg": "first", "b.jpg": "second", "b.json": "{}", [long]: "third" });
    const load = itemLoader(async () => new Uint8Array());
    for (const format of ["gnu", "pax", "ustar"]) {
      const tar = join(newFolder(), `${format}.tar`);
      execFileSync("tar", ["--format", format, "-cf", tar, "-C", source, "."]);
      const items = await findItems([tar]);
      const found = new Map<string, string>();
      for (const item of items)
        found.set(item.key, Buffer.from((await load(item, never())) as Uint8Array).toString());
      expect(Object.fromEntries(found), format).toEqual({
        [`${format}.tar/a.jpg`]: "first",
        [`${format}.tar/b.jpg`]: "second",
        [`${format}.tar/${long}`]: "third",
      });
    }
    const broken = folderOf({ "x.tar": "x".repeat(2000), "cut.tar": "", "half.tar": "" });
    await expect(findItems([join(broken, "x.tar")])).rejects.toThrow(/no tar file at byte 0: the checksum/);
    const whole = join(newFolder(), "whole.tar");
    execFileSync("tar", ["-cf", whole, "-C", source, "a.jpg", "b.jpg"]);
    const bytes = readFileSync(whole);
    for (const [name, length] of [
      ["cut.tar", 1200],
      ["half.tar", 1024 + 100],
    ] as const) {
      writeFileSync(join(broken, name), bytes.subarray(0, length));
      await expect(findItems([join(broken, name)])).rejects.toThrow(/cut short/);
    }
  });

  it("come from links within tar files of GNU tar and of Python, with the image that they stand for", async () => {
    const load = itemLoader(async () => new Uint8Array());
    const contents = async (tar: string) => {
      const items = await findItems([tar]);
      const found = items.map(async (item) => {
        const content = Buffer.from((await load(item, never())) as Uint8Array).toString();
        return [item.key.replace(/^[^/]*\//, ""), content] as const;
      });
      return Object.fromEntries(await Promise.all(found));
    };
    const source = folderOf({ "a.jpg": "first", "deep/b.jpg": "second" });
    linkSync(join(source, "a.jpg"), join(source, "hard.jpg"));
    symlinkSync("../a.jpg", join(source, "deep/soft.jpg"));
    symlinkSync("/nowhere.jpg", join(source, "out.jpg"));
    const expected = {
      "a.jpg": "first",
      "hard.jpg": "first",
      "deep/b.jpg": "second",
      "deep/soft.jpg": "first",
      "out.jpg": "",
    };
    const gnu = join(newFolder(), "links.tar");
    execFileSync("tar", ["-cf", gnu, "-C", source, "."]);
    expect(await contents(gnu)).toEqual(expected);
    for (const format of ["USTAR", "GNU", "PAX"]) {
      const tar = join(newFolder(), "links.tar");
      const code = `import sys, tarfile
with tarfile.open(sys.argv[1], "w", format=tarfile.${format}_FORMAT) as tar:
    tar.add(sys.argv[2], arcname=".")`;
      execFileSync("python3", ["-c", code, tar, source]);
      expect(await contents(tar), format).toEqual(expected);
    }
  });

  it("are refused when there is none, or two of one name", async () => {
    await expect(findItems([newFolder()])).rejects.toThrow(/has no image. --recursive/);
    await expect(findItems([join(folderOf({ "x.txt": "" }), "x.txt")])).rejects.toThrow(
      /x\.txt has no image\.$/,
    );
    await expect(findItems([join(newFolder(), "x")])).rejects.toThrow(/is missing/);
  });

  it("are fetched from public hosts alone, and again while a host is busy", async () => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests++;
      response.statusCode = requests === 1 ? 503 : 200;
      response.end("bytes");
    }).listen(0, "127.0.0.1");
    await new Promise((ready) => server.once("listening", ready));
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/a.jpg`;
    try {
      await expect(urlFetcher()(url, never())).rejects.toMatchObject({
        code: "download_failed",
        message: expect.stringContaining("--image-urls any"),
      });
      expect(requests).toBe(0);
      const ports = { "http:": String(port) };
      const own = urlFetcher({ ...FETCH_DEFAULTS, isAllowedAddress: () => true, ports });
      expect(Buffer.from(await own(url, never())).toString()).toBe("bytes");
      expect(requests).toBe(2);
      const any = urlFetcher({ ...FETCH_DEFAULTS, imageUrls: "any" });
      expect(Buffer.from(await any(url, never())).toString()).toBe("bytes");
      expect(requests).toBe(3);
    } finally {
      server.close();
    }
  });
});
