/**
 * Stands in for the process of a part with three items, of which the second is as the address of the part says:
 * `hangs`, `ends` the process, or `fails`. The first time it gets so far; then the items that are settled are left out.
 */
const [how, , , ...settled] = process.argv.slice(2);
process.send({ planned: ["first", "second", "third"] });
for (const item of ["first", "second", "third"]) {
  if (settled.includes(item)) continue;
  process.send({ begun: item });
  if (item === "second") {
    if (how === "hangs") await new Promise((resolve) => setTimeout(resolve, 3_600_000));
    if (how === "ends") {
      process.stderr.write("the driver has ended this process\n");
      process.disconnect();
      process.exit(7);
    }
    process.send({ failure: { item, code: "gpu_lost", message: "The GPU was lost" } });
    process.send({ settled: item });
    if (how === "fails") {
      process.send({ ended: "failed" });
      process.disconnect();
      break;
    }
  }
  process.send({ row: { item } });
  process.send({ settled: item });
  if (item === "third") {
    process.send({ ended: "done" });
    process.disconnect();
  }
}
