import { openImage, type PageImage } from "./page_image.ts";

/** Drawn scenes that the bundled checkpoint was not trained on; files of `files/samples/`. */
const SAMPLES = [
  { file: "scene.png", title: "A drawn scene", phrase: "" },
  { file: "farm.jpg", title: "A bird, a rocket and a sign", phrase: "a bird, a rocket" },
  { file: "west.jpg", title: "A tree, a sunflower, an elephant and a sign", phrase: "an elephant, a flower" },
  { file: "juice.jpg", title: "A turtle, an umbrella and a sign", phrase: "a turtle, an umbrella" },
  { file: "exit.jpg", title: "A bicycle, a bird and a sign", phrase: "a bicycle, a bird" },
  { file: "bar.jpg", title: "Two trees, a cactus and a sign", phrase: "a tree, a cactus" },
] as const;

export interface Sample {
  readonly file: string;
  readonly title: string;
  readonly url: string;
  open(): Promise<PageImage>;
}

export const samples: readonly Sample[] = SAMPLES.map(({ file, title, phrase }) => {
  const url = new URL(`samples/${file}`, document.baseURI).href;
  const open = async () => {
    const blob = await (await fetch(url)).blob();
    return openImage(blob, file, { address: `samples/${file}`, isSample: true, phrase });
  };
  return { file, title, url, open };
});
