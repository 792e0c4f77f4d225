"""Runs the chunks of a planned run on a Ray cluster: `python ray_chunks.py OUT`.

Each task is one `florence2-batch run-chunk`, so that Ray decides where and when, and the parts decide what is done: a
task that Ray runs twice does no harm.
"""

import json
import subprocess
import sys


def run_chunk(out: str, chunk: int) -> int:
    """Computes one chunk; raises if it fails, so that Ray tries again."""
    subprocess.run(["npx", "florence2-batch", "run-chunk", out, str(chunk), "--quiet"], check=True)
    return chunk


def main(out: str) -> None:
    import ray

    ray.init()
    with open(f"{out}/run.json", encoding="utf-8") as file:
        chunks = json.load(file)["chunks"]
    task = ray.remote(num_cpus=2, max_retries=5, retry_exceptions=True)(run_chunk)
    ray.get([task.remote(out, chunk) for chunk in range(chunks)])


if __name__ == "__main__":
    main(sys.argv[1])
