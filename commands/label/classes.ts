import { existsSync, readFileSync } from "node:fs";
import { Florence2Error } from "../../core/errors.ts";
import type { ClassRule } from "../../datasets/selection.ts";
import {
  type Field,
  hasMember,
  invalid,
  items,
  member,
  number,
  text,
  wholeFile,
} from "../../files/fields.ts";
import { isJsonObject, parseJson } from "../../files/json.ts";

/**
 * The classes that options name, in order; undefined if they name none.
 *
 * @param list `car,person`
 * @param ontology a file of prompts and classes
 * @throws {Florence2Error} `option_invalid`; `file_not_found`; `data_invalid` with file and field
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
  if (!existsSync(ontology)) {
    throw new Florence2Error("file_not_found", `The file ${ontology}, which --ontology names, is missing.`, {
      path: ontology,
    });
  }
  const content = readFileSync(ontology, "utf8");
  const rules = /^\s*[[{]/.test(content)
    ? rulesOfJson(wholeFile(ontology, parseJson(content, ontology, "data_invalid"), "data_invalid"))
    : rulesOfLines(content, ontology);
  if (rules.length > 0) return rules;
  throw new Florence2Error("data_invalid", `${ontology} has no prompts.`, { path: ontology });
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

function ruleOf(prompt: string, entry: Field): ClassRule {
  const limit = (name: "minScore" | "minArea" | "maxArea") =>
    hasMember(entry, name) && { [name]: number(member(entry, name), { min: 0, max: 1 }) };
  return {
    prompt,
    ...(hasMember(entry, "label") && { label: text(member(entry, "label")) }),
    ...limit("minScore"),
    ...limit("minArea"),
    ...limit("maxArea"),
  };
}

/** Lines `prompt: class`, the flat part of YAML; a prompt alone is its own class. */
function rulesOfLines(content: string, file: string): ClassRule[] {
  return content.split(/\r?\n/).flatMap((line, i) => {
    if (/^\s*(#|$)/.test(line)) return [];
    const entry = /^(?:"([^"]+)"|'([^']+)'|([^:"']+?))\s*(?::\s*(.*?))?\s*$/.exec(line);
    if (!entry) {
      const message = `${file}, line ${i + 1} is ${JSON.stringify(line)}, expected "prompt: class".`;
      throw new Florence2Error("data_invalid", message, { file, line: i + 1 });
    }
    const [, double, single, plain, label = ""] = entry;
    const prompt = (double ?? single ?? plain)!.trim();
    const name = label.replace(/^(["'])(.*)\1$/, "$2");
    return [{ prompt, ...(name !== "" && { label: name }) }];
  });
}
