/**
 * `npm run soak --workspace apps/server [-- --requests 10000]`: a server in a process of its own, on an engine without
 * a model, and many requests to it over loopback, one in fifty of them hostile. Ends with 1 if an answer is lost or
 * of an unknown kind, if something is left at the end, or if the server's memory grows by more than a tenth.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const AT_ONCE = 32;
const MOST_GROWTH = 1.1;
/** Fewer requests fill caches and the engine's own heap, and their memory says nothing of what is lost. */
const FEWEST_FOR_MEMORY = 5000;

const { requests, "dump-log": dumpLog } = parseArgs({
  options: { requests: { type: "string", default: "10000" }, "dump-log": { type: "boolean" } },
}).values;
const total = Number(requests);
const scene = readFileSync(fileURLToPath(new URL("../../../examples/scene.png", import.meta.url)));

const child = spawn(
  process.execPath,
  ["--expose-gc", fileURLToPath(new URL("soak_server.mjs", import.meta.url))],
  { stdio: ["ignore", "pipe", "pipe"] },
);
/** What the server said that it does not say of a good request: its own errors, and how it crashed. */
const complaints = [];
createInterface({ input: child.stderr }).on("line", (line) => {
  if (dumpLog) console.error(line);
  if (!line.includes('"level":"info"')) complaints.push(line);
});
const port = await new Promise((resolve, reject) => {
  child.stdout.once("data", (line) => resolve(Number(line)));
  child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
});
const base = `http://127.0.0.1:${port}`;

/** Images that differ, so that some have been seen and some have not. */
function imageUrl(n) {
  const bytes = Buffer.from(scene);
  bytes.writeUInt32BE(n % 500, bytes.length - 8);
  return `data:image/png;base64,${bytes.toString("base64")}`;
}

const chat = (n, fields = {}) => ({
  model: "florence2-nano",
  messages: [
    {
      role: "user",
      content: [
        { type: "text", text: "<CAPTION>" },
        { type: "image_url", image_url: { url: imageUrl(n) } },
      ],
    },
  ],
  ...fields,
});

const send = (body, init = {}) =>
  fetch(`${base}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    ...init,
  });

/** A raw connection that sends what fetch would not, and tells the first line of the answer. */
const raw = (text, wait = 0) =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    let received = "";
    socket.on("data", (data) => {
      received += data;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(Number(received.split(" ")[1] ?? 0)));
    if (wait) setTimeout(() => socket.destroy(), wait);
  });

const header =
  "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";

/** What is hostile, and which statuses are an answer to it; 0 is a connection that was closed. */
const hostile = [
  ["bad JSON", async () => (await send('{"model":')).status, [400]],
  ["deep JSON", async () => (await send("[".repeat(50_000))).status, [400]],
  [
    "a cut image",
    async (n) =>
      (await send(JSON.stringify(chat(n)).replace(/base64,.{400}.*?"/, 'base64,iVBORw0KGgo="'))).status,
    [400],
  ],
  [
    "another image",
    async () => (await send(JSON.stringify(chat(0)).replace("base64,iVBOR", "base64,AAAAA"))).status,
    [400],
  ],
  [
    "an address inside",
    async () =>
      (await send(JSON.stringify(chat(0)).replace(/data:image.*?"/, 'https://127.0.0.1/a"'))).status,
    [400],
  ],
  [
    "a client that leaves",
    async (n) => {
      const gone = new AbortController();
      setTimeout(() => gone.abort(), 1 + (n % 3));
      return send(JSON.stringify(chat(n)), { signal: gone.signal }).then(
        ({ status }) => status,
        () => 0,
      );
    },
    [0, 200],
  ],
  [
    "a stream that is left",
    async (n) => {
      const response = await send(JSON.stringify(chat(n, { stream: true })));
      const reader = response.body.getReader();
      await reader.read();
      await reader.cancel();
      return response.status;
    },
    [200],
  ],
  ["a slow body", () => raw(`${header}Content-Length: 1000\r\n\r\n{"model"`), [408, 0]],
  ["a body that is too large", () => raw(`${header}Content-Length: 99999999999\r\n\r\n`), [413]],
  ["a packed body", () => raw(`${header}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`), [415]],
  ["not HTTP", () => raw("GARBAGE\r\n\r\n"), [400]],
];

const counts = new Map();
const faults = [];
const note = (kind, status, good) => {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
  if (!good) faults.push(`${kind}: ${status}`);
};

const reasonOf = (error) => `${error.message} ${error.cause?.code ?? error.cause ?? ""}`;

async function one(n) {
  if (n % 50 === 49) {
    const [kind, attack, allowed] = hostile[Math.floor(n / 50) % hostile.length];
    const status = await attack(n).catch(reasonOf);
    // The queue may be full for them as for others.
    return note(kind, status, [...allowed, 429].includes(status));
  }
  const isStream = n % 7 === 0;
  const kind = isStream ? "streams" : "answers";
  for (;;) {
    let response;
    let text;
    try {
      response = await send(JSON.stringify(chat(n, { stream: isStream })));
      text = await response.text();
    } catch (error) {
      return note(kind, reasonOf(error), false);
    }
    // A full queue is an honest answer; the request is made again, as clients do.
    if (response.status === 429) {
      note(
        "429",
        429,
        Number(response.headers.get("retry-after")) >= 1 &&
          JSON.parse(text).error.code === "server_overloaded",
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    const isWhole = isStream
      ? text.endsWith("data: [DONE]\n\n")
      : JSON.parse(text).choices?.[0].message.content === "A boat and a sign.";
    return note(kind, response.status, response.status === 200 && isWhole);
  }
}

const residentBytes = async () => {
  await fetch(`${base}/collect-garbage`);
  const text = await (await fetch(`${base}/metrics`)).text();
  const value = (name) => Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
  return {
    bytes: value("process_resident_memory_bytes"),
    waiting: value("florence2_requests_waiting"),
    running: value("florence2_requests_running"),
  };
};

let next = 0;
async function until(last) {
  const worker = async () => {
    while (next < last) await one(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

const begin = performance.now();
// Memory is compared once caches and the engine's own heap have settled.
await until(Math.floor(total / 4));
const before = await residentBytes();
await until(total);
const after = await residentBytes();
const seconds = (performance.now() - begin) / 1000;
child.kill("SIGTERM");
const code = await new Promise((resolve) => child.once("exit", resolve));

const growth = after.bytes / before.bytes;
console.log(JSON.stringify(Object.fromEntries([...counts].sort())));
console.log(
  `${total} requests in ${seconds.toFixed(1)} s, ${(total / seconds).toFixed(0)} a second; faults: ${faults.length}`,
);
console.log(
  `resident memory ${(before.bytes / 1e6).toFixed(0)} MB after a quarter, ${(after.bytes / 1e6).toFixed(0)} MB at the end: ${growth.toFixed(3)} times`,
);
console.log(
  `left at the end: ${after.waiting} waiting, ${after.running} running; the server ended with ${code}`,
);
for (const line of [...faults.slice(0, 20), ...complaints.slice(0, 20)]) console.log(line);
const isBounded = total < FEWEST_FOR_MEMORY || growth <= MOST_GROWTH;
const isGood = faults.length === 0 && isBounded && after.waiting === 0 && after.running === 0 && code === 0;
process.exitCode = isGood ? 0 : 1;
