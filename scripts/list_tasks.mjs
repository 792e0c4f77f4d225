/**
 * Writes `model/tasks/all.ts`: the tasks that the files of its folder define, by file name. The build keeps it
 * current; it is in git, so that the sources run unbuilt and types know every tag.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, say } from "./steps.mjs";

const FOLDER = join(root, "model/tasks");
const LIST = join(FOLDER, "all.ts");

/** The text of `all.ts` for the files as they are. */
export function taskList() {
  const tasks = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .flatMap((file) => {
      const text = readFileSync(join(FOLDER, file), "utf8");
      const name = /^export const (\w+) = defineTask\(\{\s*token: "<\w/m.exec(text)?.[1];
      return name ? [{ file, name }] : [];
    });
  return `// Written by scripts/list_tasks.mjs: npm run build.
${tasks.map(({ file, name }) => `import { ${name} } from "./${file}";`).join("\n")}

/** The tasks of this folder, by file name. */
export const tasks = [
${tasks.map(({ name }) => `  ${name},`).join("\n")}
] as const;
`;
}

/** Writes the list if it is not current. In CI it has to be. */
export function ensureTaskList() {
  const expected = taskList();
  if (readFileSync(LIST, "utf8") === expected) return;
  if (process.env.CI)
    throw new Error("model/tasks/all.ts is not current: npm run build writes it; commit it");
  say("listing the tasks");
  writeFileSync(LIST, expected);
}
