import { expect, it } from "vitest";
import { waitPatiently } from "../../../core/gpu/wait_for_device.ts";

/** Turns of the event loop until a timer of 400 ms ends, while something asks in each of them, as Dawn does. */
async function turns(wait: (answer: Promise<string>) => Promise<string>): Promise<number> {
  let count = 0;
  let isDue = true;
  const ask = () => {
    count++;
    if (isDue) setImmediate(ask);
  };
  setImmediate(ask);
  const answer = new Promise<string>((resolve) => setTimeout(() => resolve("done"), 400));
  expect(await wait(answer)).toBe("done");
  isDue = false;
  return count;
}

it("waiting patiently leaves the processor to others", async () => {
  const restless = await turns((answer) => answer);
  const patient = await turns(waitPatiently);
  expect(patient).toBeLessThan(restless / 4);
  expect(patient).toBeGreaterThan(10);
});

it("what fails fails, and what is there is there at once", async () => {
  await expect(waitPatiently(Promise.reject(new Error("lost")))).rejects.toThrow("lost");
  expect(await waitPatiently(Promise.resolve(7))).toBe(7);
});
