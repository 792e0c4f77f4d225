/**
 * A name without ending for each file, for formats that keep one file beside each image. Folders stay. Where two
 * images differ in their ending alone, or in capitals, the later ones get it into the name:
 * `stemsOf(["a/x.jpg", "a/x.PNG"])` → a/x.jpg: a/x, a/x.PNG: a/x_PNG.
 */
export function stemsOf(files: Iterable<string>): Map<string, string> {
  const stems = new Map<string, string>();
  const taken = new Set<string>();
  for (const file of files) {
    const [stem, ending] = splitEnding(file);
    let free = stem;
    for (let n = 1; taken.has(free.toLowerCase()); n++) free = `${stem}_${ending}${n > 1 ? n : ""}`;
    taken.add(free.toLowerCase());
    stems.set(file, free);
  }
  return stems;
}

/** "a.b/photo.tar.gz" → ["a.b/photo.tar", "gz"]. */
export function splitEnding(file: string): [stem: string, ending: string] {
  const dot = file.lastIndexOf(".");
  return dot > file.lastIndexOf("/") + 1 ? [file.slice(0, dot), file.slice(dot + 1)] : [file, ""];
}

/** The last part of a path with "/". */
export function baseName(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1);
}
