/** Run by another runtime with `gpu` or `cpu`: prints what every task gives there, as JSON. */
import { runEveryTask } from "./every_task.ts";

console.log(JSON.stringify(await runEveryTask(process.argv[2] as "gpu" | "cpu")));
