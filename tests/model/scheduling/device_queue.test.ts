import { describe, expect, it } from "vitest";
import { Florence2Error } from "../../../index.ts";
import { DeviceQueue } from "../../../model/scheduling/device_queue.ts";
import { deferred } from "../../../model/scheduling/promises.ts";
import { Semaphore } from "../../../model/scheduling/semaphore.ts";

describe("the device's queue", () => {
  it("runs one piece of work at a time, in the order of asking, and goes on after a failure", async () => {
    const queue = new DeviceQueue();
    const log: string[] = [];
    const piece = (name: string, fails = false) =>
      queue.turn(async () => {
        log.push(`${name} begins`);
        await Promise.resolve();
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
      });
    const results = await Promise.allSettled([piece("a"), piece("b", true), piece("c")]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(log).toEqual(["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]));
  });

  it("lets a waiter go at once when its signal aborts, and serves those behind it", async () => {
    const queue = new DeviceQueue();
    const working = deferred<void>();
    const first = queue.turn(() => working.promise);
    const controller = new AbortController();
    const second = queue.turn(async () => "second", controller.signal);
    const third = queue.turn(async () => "third");
    controller.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
    working.resolve();
    await first;
    expect(await third).toBe("third");
  });

  it("is idle when the work that has begun is done, closed or not", async () => {
    const queue = new DeviceQueue();
    await queue.idle();
    const working = deferred<void>();
    let ended = false;
    const turn = queue.turn(() => working.promise);
    await Promise.resolve();
    queue.close(new Florence2Error("disposed", "gone"));
    const idle = queue.idle().then(() => {
      ended = true;
    });
    await new Promise((resolve) => setTimeout(resolve));
    expect(ended).toBe(false);
    working.reject(new Error("failed"));
    await expect(turn).rejects.toThrow("failed");
    await idle;
  });

  it("tells all waiters when it closes, and those that come later", async () => {
    const queue = new DeviceQueue();
    const working = deferred<string>();
    const first = queue.turn(() => working.promise);
    const waiting = [queue.turn(async () => 1), queue.turn(async () => 2)];
    const reason = new Florence2Error("disposed", "gone");
    queue.close(reason);
    for (const one of waiting) await expect(one).rejects.toBe(reason);
    await expect(queue.turn(async () => 3)).rejects.toBe(reason);
    working.resolve("done");
    expect(await first).toBe("done");
  });
});

describe("a semaphore", () => {
  it("lets no more in than it has places for, and gives each place back once", async () => {
    const semaphore = new Semaphore(2);
    const [first, second] = [await semaphore.acquire(), await semaphore.acquire()];
    let entered = 0;
    const third = semaphore.acquire().then((release) => {
      entered++;
      return release;
    });
    const fourth = semaphore.acquire().then(() => entered++);
    await Promise.resolve();
    expect(entered).toBe(0);
    first();
    first();
    const release = await third;
    expect(entered).toBe(1);
    release();
    await fourth;
    second();
    expect(entered).toBe(2);
  });

  it("lets a waiter go at once when its signal aborts", async () => {
    const semaphore = new Semaphore(1);
    const release = await semaphore.acquire();
    const controller = new AbortController();
    const waiting = semaphore.acquire(controller.signal);
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    release();
    await semaphore.acquire();
  });
});
