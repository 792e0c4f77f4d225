/** The call that the page made, for a terminal and for programs: what stands there runs as it is. */
import type { Box, Question } from "../engines/engine.ts";
import type { ModelChoice } from "../engines/protocol.ts";

export interface Call {
  readonly question: Question;
  /** The image's file name. */
  readonly file: string;
  /** The server that answers, or would. */
  readonly server: { readonly origin: string; readonly hasKey: boolean };
  /** The model of this browser; undefined where a server answered. */
  readonly choice?: ModelChoice | undefined;
  /** Whether that is the bundled checkpoint. */
  readonly isBundled: boolean;
}

export interface Snippet {
  readonly name: "curl" | "TypeScript" | "Python";
  readonly text: string;
}

export function snippetsOf(call: Call): Snippet[] {
  return [
    { name: "TypeScript", text: call.choice ? library(call, call.choice) : fetching(call) },
    { name: "curl", text: curl(call) },
    { name: "Python", text: python(call) },
  ];
}

/** Fields of a form to the server, beside the image. */
function fieldsOf({ task, text, region }: Question): [name: string, value: string][] {
  const texts = text === undefined ? [] : [text].flat();
  return [
    ["task", task],
    ...texts.map((one): [string, string] => ["text", one]),
    ...(region ? [["region", joined(region)] as [string, string]] : []),
  ];
}

const joined = (region: Box) => region.join(",");

/** @example shell("it's") // "'it'\\''s'" */
const shell = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function curl({ question, file, server }: Call): string {
  const lines = [
    `curl -sS ${server.origin}/v1/florence2`,
    // Quotes keep names with commas and semicolons whole (curl's manual, --form).
    `-F ${shell(`image=@"${file.replace(/[\\"]/g, "\\$&")}"`)}`,
    // --form-string takes a value as it is, also one that begins with @ or <.
    ...fieldsOf(question).map(([name, value]) => `--form-string ${shell(`${name}=${value}`)}`),
    ...(server.hasKey ? [`-H "Authorization: Bearer $FLORENCE2_API_KEY"`] : []),
  ];
  return `${lines.join(" \\\n  ")}\n`;
}

function optionsOf({ text, region }: Question): string {
  if (region) return `, { region: ${JSON.stringify(region)} }`;
  return text === undefined ? "" : `, { text: ${JSON.stringify(text)} }`;
}

function library({ question, file, isBundled }: Call, choice: ModelChoice): string {
  const { source, device, dtype, revision, endpoint } = choice;
  const options = Object.entries({ device, dtype, revision, endpoint }).filter(
    ([, value]) => value !== undefined && value !== "auto",
  );
  const given = options.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ");
  const model = isBundled
    ? `new URL(".", import.meta.resolve("florence2-webgpu/checkpoints/nano/config.json"))`
    : JSON.stringify(source);
  return `import { Florence2 } from "florence2-webgpu";

const source = ${model};
const model = await Florence2.fromPretrained(source${given && `, { ${given} }`});
const { answer } = await model.run(${JSON.stringify(file)}, ${JSON.stringify(question.task)}${optionsOf(question)});
console.log(JSON.stringify(answer));
model.dispose();
`;
}

function fetching({ question, file, server }: Call): string {
  const fields = fieldsOf(question).map(
    ([name, value]) => `form.append(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  const key = '"Bearer " + process.env.FLORENCE2_API_KEY';
  const headers = server.hasKey ? `, headers: { authorization: ${key} }` : "";
  return `import { readFile } from "node:fs/promises";

const form = new FormData();
form.append("image", new Blob([await readFile(${JSON.stringify(file)})]));
${fields.join("")}const response = await fetch("${server.origin}/v1/florence2", { method: "POST", body: form${headers} });
const { results } = await response.json();
console.log(JSON.stringify(results[0].answer));
`;
}

/** With Python's own library alone: the image is the body, the other fields are the query. */
function python({ question, file, server }: Call): string {
  const fields = fieldsOf(question).map(([name, value]) => `(${quoted(name)}, ${quoted(value)})`);
  const key = server.hasKey ? `headers["Authorization"] = "Bearer " + os.environ["FLORENCE2_API_KEY"]\n` : "";
  return `import json
${server.hasKey ? "import os\n" : ""}from urllib.parse import urlencode
from urllib.request import Request, urlopen

query = urlencode([${fields.join(", ")}])
headers = {"Content-Type": "application/octet-stream"}
${key}with open(${quoted(file)}, "rb") as image:
    request = Request("${server.origin}/v1/florence2?" + query, image.read(), headers)
with urlopen(request) as response:
    print(json.dumps(json.load(response)["results"][0]["answer"]))
`;
}

/** A text as Python writes it: JSON's escapes are Python's, too. */
const quoted = (text: string) => JSON.stringify(text);
