import { readFileSync } from "node:fs";
import { Florence2Error, quote } from "../../core/errors.ts";
import { nearestName } from "../../core/names.ts";
import type { ClassRule } from "../../datasets/selection.ts";
import {
  type Field,
  hasMember,
  invalid,
  items,
  member,
  number,
  object,
  text,
  wholeFile,
} from "../../files/fields.ts";
import { isJsonObject, parseJson } from "../../files/json.ts";

/**
 * The classes that options name, in order; undefined if they name none.
 *
 * @param list `car,person`
 * @param ontology a file of prompts and classes
 * @throws {Florence2Error} `option_invalid`; `file_not_found`, `file_unreadable`; `data_invalid` with file and field
 */
export function readClasses(list: string | undefined, ontology: string | undefined): ClassRule[] | undefined {
  if (list !== undefined && ontology !== undefined) {
    throw new Florence2Error("option_invalid", "--classes and --ontology go not together.", {
      list,
      ontology,
    });
  }
  if (list !== undefined) {
    const prompts = [
      ...new Set(
        list
          .split(",")
          .map((name) => name.trim())
          .filter(Boolean),
      ),
    ];
    if (prompts.length > 0) return prompts.map((prompt) => ({ prompt }));
    throw new Florence2Error(
      "option_invalid",
      `--classes is ${JSON.stringify(list)}, expected names with commas`,
      { list },
    );
  }
  if (ontology === undefined) return undefined;
  const content = textOf(ontology);
  const rules = /^\s*[[{]/.test(content)
    ? rulesOfJson(wholeFile(ontology, parseJson(content, ontology, "data_invalid"), "data_invalid"))
    : rulesOfLines(content, ontology);
  if (rules.length > 0) return expectOnce(rules, ontology);
  throw new Florence2Error("data_invalid", `${ontology} has no prompts.`, { path: ontology });
}

/** @throws {Florence2Error} `file_not_found`, `file_unreadable`; `data_invalid` for another coding than UTF-8 */
function textOf(path: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isMissing = code === "ENOENT";
    const message = `The file ${path}, which --ontology names, ${isMissing ? "is missing" : `cannot be read (${code})`}.`;
    throw new Florence2Error(isMissing ? "file_not_found" : "file_unreadable", message, { path }, error);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Florence2Error("data_invalid", `${path} is no text in UTF-8.`, { path }, error);
  }
}

/** Prompts are compared as answers are: without regard to capitals. */
function expectOnce(rules: ClassRule[], file: string): ClassRule[] {
  const seen = new Set<string>();
  for (const { prompt, label } of rules) {
    if (prompt.trim() === "" || label?.trim() === "") {
      const message = `${file} has an empty ${prompt.trim() === "" ? "prompt" : `class for ${quote(prompt)}`}.`;
      throw new Florence2Error("data_invalid", message, { file, prompt });
    }
    const name = prompt.trim().toLowerCase();
    if (seen.has(name)) {
      throw new Florence2Error("data_invalid", `${file} has the prompt ${quote(prompt)} twice.`, {
        file,
        prompt,
      });
    }
    seen.add(name);
  }
  return rules;
}

/** `{ "kitten": "cat" }`, `{ "kitten": { "label": "cat", "minScore": 0.5 } }`, or a list with `prompt` in each. */
function rulesOfJson(root: Field): ClassRule[] {
  if (Array.isArray(root.value)) {
    return items(root).map((item) =>
      typeof item.value === "string" ? { prompt: item.value } : ruleOf(text(member(item, "prompt")), item),
    );
  }
  if (!isJsonObject(root.value)) throw invalid(root, "an object or a list");
  return Object.keys(root.value).map((prompt) => {
    const entry = member(root, prompt);
    return typeof entry.value === "string" ? { prompt, label: entry.value } : ruleOf(prompt, entry);
  });
}

const LIMITS = ["minScore", "minArea", "maxArea"] as const;
const MEMBERS = ["prompt", "label", ...LIMITS];

function ruleOf(prompt: string, entry: Field): ClassRule {
  for (const name of Object.keys(object(entry))) {
    if (MEMBERS.includes(name)) continue;
    const near = nearestName(name, MEMBERS);
    const message = `${entry.where} has the member ${quote(name)}${near ? `; did you mean ${near}?` : `, expected ${MEMBERS.join(", ")}.`}`;
    throw new Florence2Error("data_invalid", message, { field: entry.where, name });
  }
  const limits = LIMITS.filter((name) => hasMember(entry, name)).map((name) => [
    name,
    number(member(entry, name), { min: 0, max: 1 }),
  ]);
  return {
    prompt,
    ...(hasMember(entry, "label") && { label: text(member(entry, "label")) }),
    ...Object.fromEntries(limits),
  };
}

/** Lines `prompt: class`, the flat part of YAML; a prompt alone, or in a list with "-", is its own class. */
function rulesOfLines(content: string, file: string): ClassRule[] {
  return content.split(/\r?\n/).flatMap((line, i) => {
    if (/^\s*(#|$)|^---\s*$/.test(line)) return [];
    const entry =
      /^(?:-\s+)?(?:"([^"]+)"|'([^']+)'|([^\s:"'-][^:"']*?))\s*(?::(?:\s+(.*?))?)?\s*(?:\s#.*)?$/.exec(line);
    if (!entry) {
      const message = `${file}, line ${i + 1} is ${quote(line)}, expected "prompt: class". Limits of classes are written in JSON: {"prompt": {"label": "class", "minScore": 0.5}}.`;
      throw new Florence2Error("data_invalid", message, { file, line: i + 1 });
    }
    const [, double, single, plain, label = ""] = entry;
    const prompt = (double ?? single ?? plain)!.trim();
    const name = label.replace(/\s+#.*$/, "").replace(/^(["'])(.*)\1$/, "$2");
    return [{ prompt, ...(name !== "" && { label: name }) }];
  });
}
