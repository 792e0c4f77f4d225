import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { defaultSettings } from "../../config/settings.ts";
import { type FetchOptions, ImageFetcher } from "../../images/fetch_image.ts";
import { isPublicAddress } from "../../images/url_policy.ts";

const { signal } = new AbortController();

async function listen(listener: RequestListener): Promise<{ server: Server; port: number }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** A resolver that knows names by heart; a list of lists answers one after another. */
function resolving(
  names: Readonly<Record<string, readonly string[] | readonly (readonly string[])[]>>,
): FetchOptions["resolve"] {
  const asked = new Map<string, number>();
  const resolve = (
    name: string,
    _options: unknown,
    callback: (error: Error | null, found?: unknown) => void,
  ) => {
    const known = names[name];
    if (!known) return callback(Object.assign(new Error("not found"), { code: "ENOTFOUND" }));
    const count = asked.get(name) ?? 0;
    asked.set(name, count + 1);
    const addresses = (
      Array.isArray(known[0]) ? known[Math.min(count, known.length - 1)] : known
    ) as readonly string[];
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
  return resolve as unknown as FetchOptions["resolve"];
}

/** Every connection to it is a fault. */
let trap: { server: Server; port: number };
let connections = 0;
beforeAll(async () => {
  trap = await listen((_, response) => void response.end("trapped"));
  trap.server.on("connection", () => connections++);
});
afterAll(() => void trap.server.close());

const names = {
  "localhost.": ["127.0.0.1"],
  localhost: ["127.0.0.1", "::1"],
  "127.0.0.1.nip.io": ["127.0.0.1"],
  "metadata.example": ["169.254.169.254"],
  "inside.example": ["10.0.0.7"],
  "mixed.example": ["93.184.216.34", "127.0.0.1"],
  "six.example": ["::ffff:127.0.0.1"],
  "local.example": ["fe80::1"],
  "unique.example": ["fd00::1"],
  "nat.example": ["64:ff9b::7f00:1"],
  "tunnel.example": ["2002:7f00:1::"],
  "carrier.example": ["100.64.0.1"],
  "zero.example": ["0.0.0.0"],
  "nowhere.example": [],
};

/** Each is asked for at the trap's port as well as at the usual one: neither may connect. */
const refusedHosts = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "2130706433",
  "0x7f.1",
  "0x7f000001",
  "0177.0.0.1",
  "017700000001",
  "127.0.0.1.",
  "①②⑦.0.0.1",
  "127。0。0。1",
  "0",
  "0.0.0.0",
  "10.1.2.3",
  "172.16.0.1",
  "192.168.1.1",
  "169.254.169.254",
  "100.64.0.1",
  "192.0.2.1",
  "198.18.0.1",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
  "[::1]",
  "[::]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[0:0:0:0:0:ffff:127.0.0.1]",
  "[fe80::1]",
  "[fc00::1]",
  "[fd12:3456::1]",
  "[64:ff9b::7f00:1]",
  "[2002:7f00:1::]",
  "[2001:db8::1]",
  "[ff02::1]",
  ...Object.keys(names),
];

const otherUrls = [
  "file:///etc/passwd",
  "ftp://93.184.216.34/a",
  "gopher://93.184.216.34/",
  "javascript:alert(1)",
  "blob:https://x/1",
  "//127.0.0.1/a",
  "https://user:secret@93.184.216.34/a.png",
  "https://93.184.216.34:22/a.png",
  "http://127.0.0.1\\@93.184.216.34/",
  "http://unknown.example\\@127.0.0.1:PORT/",
  "http://unknown.example#@127.0.0.1:PORT/",
  "http://a@127.0.0.1\\@example.com/",
  "http://\t127.0.0.1/",
  "http://127.0.0.1%2f@93.184.216.34/",
];

describe("URLs that are refused", () => {
  const fetcher = () =>
    new ImageFetcher({
      ...defaultSettings,
      imageUrlSchemes: ["http", "https"],
      resolve: resolving(names),
    });
  const expectRefused = async (url: string) => {
    const failure = await fetcher()
      .fetch(url, "image", signal)
      .then(
        () => undefined,
        (error) => error,
      );
    expect(failure?.name, url).toBe("ApiError");
    expect(failure.message).not.toMatch(/\d+\.\d+\.\d+\.\d+|::|ECONN|ENOTFOUND/);
    expect(connections, url).toBe(0);
    return failure.code as string;
  };

  for (const host of refusedHosts) {
    it(`the host ${host}`, async () => {
      expect(await expectRefused(`http://${host}/a.png`)).toBe("image_url_not_allowed");
      await expectRefused(`http://${host}:${trap.port}/a.png`);
      await expectRefused(`https://${host}/a.png`);
    });
  }

  for (const url of otherUrls) {
    it(url, async () => {
      await expectRefused(url.replace("PORT", String(trap.port)));
    });
  }

  it("are at least forty", () => expect(refusedHosts.length + otherUrls.length).toBeGreaterThanOrEqual(40));

  it("all of them when images are not fetched, and those that are not listed when they are", async () => {
    const off = new ImageFetcher({ ...defaultSettings, imageUrls: "off" });
    await expect(off.fetch("https://img.example/a.png", "image", signal)).rejects.toMatchObject({
      code: "image_url_not_allowed",
    });
    const listed = new ImageFetcher({
      ...defaultSettings,
      imageUrls: "list",
      allowedMediaDomains: ["img.example", "*.cdn.example"],
      resolve: resolving({}),
    });
    const code = (host: string) =>
      listed.fetch(`https://${host}/a.png`, "image", signal).catch((error) => error.code);
    for (const host of [
      "other.example",
      "img.example.evil.example",
      "cdn.example",
      "evilimg.example",
      "xcdn.example",
    ])
      expect(await code(host), host).toBe("image_url_not_allowed");
    // These pass, and then are not found.
    for (const host of ["img.example", "IMG.example.", "a.cdn.example", "a.b.cdn.example"])
      expect(await code(host), host).toBe("image_download_failed");
  });
});

it("only addresses of the public internet are public", () => {
  for (const address of ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1"])
    expect(isPublicAddress(address), address).toBe(true);
  for (const address of ["", "no", "127.0.0.1", "::1", "192.168.0.1"])
    expect(isPublicAddress(address), address).toBe(false);
});

describe("a host that may be fetched from", () => {
  let picture: { server: Server; port: number };
  let seen: (string | undefined)[] = [];
  beforeAll(async () => {
    picture = await listen((request, response) => {
      seen.push(request.url);
      const { url = "" } = request;
      if (url === "/image") return response.end("bytes of an image");
      if (url === "/relative") return response.writeHead(302, { location: "/image" }).end();
      if (url === "/private")
        return response.writeHead(302, { location: `http://127.0.0.1:${trap.port}/` }).end();
      if (url === "/file") return response.writeHead(302, { location: "file:///etc/passwd" }).end();
      if (url.startsWith("/loop")) return response.writeHead(302, { location: `/loop${url.length}` }).end();
      if (url === "/large") return response.end(Buffer.alloc(5000));
      if (url === "/slow") return response.write("a");
      if (url === "/cut") {
        response.writeHead(200, { "content-length": "100" }).write("part");
        return setTimeout(() => response.destroy(), 20);
      }
      return response.writeHead(404).end();
    });
  });
  afterAll(() => void picture.server.close());

  /** The test's host stands for a public one; the trap, at another address of this machine, does not. */
  const fetcher = (resolve = resolving({ "img.example": ["127.0.0.1"] }), imageUrlTimeout = 60_000) =>
    new ImageFetcher({
      ...defaultSettings,
      imageUrlSchemes: ["http"],
      imageUrlTimeout,
      maxImageBytes: 4000,
      ports: { "http:": String(picture.port) },
      isAllowedAddress: (address) => address === "127.0.0.1",
      resolve,
    });
  const get = (path: string, from = fetcher()) =>
    from.fetch(`http://img.example:${picture.port}${path}`, "image", signal);
  const code = (path: string, from?: ImageFetcher) =>
    get(path, from).then(String, (error) => `${error.status} ${error.code}`);

  it("is fetched from, also by a redirect within it", async () => {
    expect(Buffer.from(await get("/image")).toString()).toBe("bytes of an image");
    expect(Buffer.from(await get("/relative")).toString()).toBe("bytes of an image");
  });

  it("leads nowhere else", async () => {
    const before = connections;
    expect(await code("/private")).toBe("400 image_url_not_allowed");
    expect(await code("/file")).toBe("400 image_url_not_allowed");
    expect(await code("/loop")).toBe("400 image_url_not_allowed");
    expect(connections).toBe(before);
  });

  it("is bounded in bytes and in time", async () => {
    expect(await code("/large")).toBe("413 image_too_large");
    expect(await code("/slow", fetcher(undefined, 300))).toBe("504 image_download_failed");
    expect(await code("/cut")).toBe("502 image_download_failed");
    expect(await code("/none")).toBe("400 image_download_failed");
  });

  it("whose name answers public and then private is not connected to the second time", async () => {
    const rebinding = fetcher(resolving({ "img.example": [["127.0.0.1"], ["10.0.0.1"]] }));
    await get("/image", rebinding);
    await expect(get("/image", rebinding)).rejects.toMatchObject({ code: "image_url_not_allowed" });
  });

  it("is asked once for requests of the same URL at the same time, and at most four times at once", async () => {
    const shared = fetcher();
    seen = [];
    await Promise.all([get("/image", shared), get("/image", shared), get("/image", shared)]);
    expect(seen.length).toBe(1);
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        shared.fetch(`http://img.example:${picture.port}/image?${i}`, "image", signal).catch(() => {}),
      ),
    );
    expect(seen.length).toBe(11);
  });
});
