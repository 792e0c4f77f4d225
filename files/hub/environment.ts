/** The environment variables that Python's hub reads (huggingface_hub 2.4, constants.py and utils/_auth.py). */
import * as fs from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

export interface HubEnvironment {
  readonly endpoint: string | undefined;
  readonly token: string | undefined;
  /** The folder of the repositories. */
  readonly cacheFolder: string;
  /** Whether the network must not be used. */
  readonly isOffline: boolean;
}

/**
 * HF_ENDPOINT; HF_HUB_CACHE or HF_HOME or XDG_CACHE_HOME; HF_TOKEN or the file that `hf auth login` writes;
 * HF_HUB_OFFLINE; and the older names of these.
 */
export async function hubEnvironment(): Promise<HubEnvironment> {
  const { env } = process;
  const home = expand(env.HF_HOME || join(env.XDG_CACHE_HOME || "~/.cache", "huggingface"));
  const isSet = (name: string) => /^(1|on|yes|true)$/i.test(env[name] ?? "");
  const tokenFile = expand(env.HF_TOKEN_PATH || join(home, "token"));
  const stored = isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN")
    ? ""
    : env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN || (await fs.readFile(tokenFile, "utf8").catch(() => ""));
  return {
    endpoint: env.HF_ENDPOINT || undefined,
    token: stored.trim() || undefined,
    cacheFolder: expand(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(home, "hub")),
    isOffline: isSet("HF_HUB_OFFLINE") || isSet("TRANSFORMERS_OFFLINE"),
  };
}

/** `~` and `$NAME`, which a shell leaves alone within quotes. */
function expand(path: string): string {
  return path
    .replace(/^~(?=$|[\\/])/, () => homedir())
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (whole, braced, bare) => process.env[braced ?? bare] ?? whole);
}
