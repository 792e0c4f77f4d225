/** Which names of a shader's parts are defined in other parts: what their heads have to say that they use. */
import { shaderParts } from "../../core/gpu/shader_text.ts";
import type { Kernel, Variant } from "../../core/kernel.ts";
import type { Dispatch } from "../../core/recording.ts";
import type { Shader } from "../../core/shaders.ts";
import { newTensor } from "../../core/tensor.ts";

/** The parts of a variant's shader, with weights in f32, f16, q8 or q4. */
export function partsOf(kernel: Kernel, variant: Variant): readonly Shader[] {
  const tensors = Object.values(kernel.bindings).map(({ dtype }) =>
    newTensor("tensor", [32, 32], dtype === "weights" ? (variant.weights?.[0] ?? "f32") : dtype, "owned"),
  );
  return shaderParts({ kernel, variant, tensors } as unknown as Dispatch);
}

const withoutComments = (text: string) => text.replaceAll(/\/\/.*/g, "");

/** Names that a part defines for the whole module. */
export function definedIn({ text }: Shader): Set<string> {
  const pattern = /^(?:@.*\)\s*)?(?:fn|const|override|struct|alias|var<[^>]*>)\s+(\w+)/gm;
  return new Set([...withoutComments(text).matchAll(pattern)].map(([, name]) => name!));
}

/** Names that a part mentions, other than its variables, parameters and members. */
export function mentionedIn({ text }: Shader): Set<string> {
  const code = withoutComments(text);
  const own = [...code.matchAll(/\b(?:let|var)\s+(\w+)|\b(\w+)\s*:/g)].map(([, a, b]) => a ?? b);
  const names = [...code.matchAll(/(?<![.\w])[A-Za-z_]\w*/g)].map(([name]) => name);
  return new Set(names.filter((name) => !own.includes(name)));
}

/**
 * By file, the names that it takes from other parts, by where these are defined: a file's name without its ending,
 * `tile.*` for one of several, `constants` for those of the variant, `kernel` for whatever a shared file is joined to.
 */
export function borrowedNames(shaders: readonly (readonly Shader[])[]): Map<string, Map<string, string[]>> {
  const providers = new Map<string, Map<string, Set<string>>>();
  for (const parts of shaders) {
    for (const part of parts.slice(1)) {
      const ofPart = providers.get(part.file) ?? new Map<string, Set<string>>();
      providers.set(part.file, ofPart);
      for (const name of mentionedIn(part)) {
        for (const other of parts) {
          if (other === part || !definedIn(other).has(name)) continue;
          ofPart.set(name, (ofPart.get(name) ?? new Set()).add(other.file));
        }
      }
    }
  }
  return new Map(
    [...providers].map(([file, names]) => {
      const uses = new Map<string, string[]>();
      for (const [name, files] of names) {
        const label = labelOf(file, [...files]);
        uses.set(label, [...(uses.get(label) ?? []), name].sort());
      }
      return [file, uses];
    }),
  );
}

function labelOf(user: string, files: readonly string[]): string {
  const stems = files.map((file) =>
    file.startsWith("head of ") ? "constants" : file.replace(/^.*\//, "").replace(/\.wgsl$/, ""),
  );
  const families = new Set(stems.map((stem) => stem.replace(/^(tile|weights)\..*/, "$1.*")));
  const isShared = user.startsWith("kernels/shared/");
  const ofKernels = files.filter(
    (file) => !file.startsWith("kernels/shared/") && !file.startsWith("head of "),
  );
  if (families.size > 1 || (isShared && ofKernels.length > 0)) return "kernel";
  return [...families][0]!;
}

/** What the head of a shader says that it uses: `// uses reduce: reduce_sum, reduce_max`. */
export function usesIn({ text }: Shader): Map<string, string[]> {
  return new Map(
    [...text.matchAll(/^\/\/ uses (\S+): (.*)$/gm)].map(([, label, names]) => [
      label!,
      names!.split(", ").sort(),
    ]),
  );
}
