"use client";
import { Florence2 } from "florence2-webgpu";
import { useEffect } from "react";

async function ask() {
  const model = await Florence2.fromPretrained(new URL("/nano/", location.href), { device: "cpu" });
  const image = await (await fetch("/scene.png")).blob();
  return (await model.run(image, "<CAPTION>", { numBeams: 1 })).answer;
}

export default function Home() {
  useEffect(() => {
    ask().then(
      (answer) => (globalThis.outcome = answer),
      (error) => (globalThis.outcome = String(error?.stack ?? error)),
    );
  }, []);
  return <main>Florence-2</main>;
}
