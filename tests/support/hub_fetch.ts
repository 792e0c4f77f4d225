/** `hub_fetch.ts FOLDER ADDRESS NAME...`: fetches files as a process of its own, telling how far it is. */
import { DiskCache } from "../../files/hub/disk_cache.ts";
import { Progress } from "../../files/hub/progress.ts";
import { repositoryOf } from "../../files/hub/repository.ts";

const [cacheFolder, endpoint, ...names] = process.argv.slice(2) as [string, string, ...string[]];
const progress = new Progress("florence/tiny", (event) => {
  if (event.status === "progress") console.log(event.loaded);
});
const repository = repositoryOf("florence/tiny", { endpoint });
const cache = new DiskCache(repository, { cacheFolder, isOffline: false }, progress, console.warn);
for (const name of names) await (await cache.open(name)).close();
