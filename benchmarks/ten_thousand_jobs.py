"""10,000 jobs over 2,000 repositories: time to ready, memory, and time per delivery beside 10 and 1,000 jobs.

    python benchmarks/ten_thousand_jobs.py

"Judged" is a delivery sent over HTTP until its decisions and builds are on disk; builds do not run (the executor
has no slot free in time to matter). What should be flat is the last three columns: matching does not depend on how
many jobs there are.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from live import Headgate, github_headers, github_push

CONFIG = """
data: data
jobs: [jobs.d]
server: {host: 127.0.0.1}
connections:
  hub: {provider: github, webhook_secrets: [secret://env/HOOK]}
credential_stores: {env: {}}
executors: {process: {isolation: none}}
worker: {slots: 1}
logs: {level: warning}
"""

JOB = """
  job-{number}:
    description: Job {number} of many
    source: {{connection: hub, repository: acme/repo-{repository}, checkout: none}}
    triggers:
      push: {{branches: [main, "release/**"]}}
      tag: {{tags: ["v*"]}}
    conditions:
      - message: {{not_matching: "\\\\[skip ci\\\\]"}}
    run:
      timeout: 5m
      steps:
        - {{name: test, run: "false"}}
"""

JOBS_A_REPOSITORY = 5
SEQUENTIAL = 100
CONCURRENT = 1_000


async def main() -> None:
    print(f"{'jobs':>7} {'ready s':>8} {'memory MB':>10} {'ack p50 ms':>11} {'judged p50 ms':>14} {'judged/s':>9}")
    for jobs in (10, 1_000, 10_000):
        with tempfile.TemporaryDirectory() as folder:
            await measure(Path(folder), jobs)


async def measure(folder: Path, jobs: int) -> None:
    headgate = Headgate(folder, CONFIG, "jobs: {}\n")
    headgate.jobs.unlink()
    repositories = max(1, jobs // JOBS_A_REPOSITORY)
    for start in range(0, jobs, 50):
        text = "jobs:" + "".join(
            JOB.format(number=n, repository=n % repositories) for n in range(start, min(start + 50, jobs))
        )
        (folder / "jobs.d" / f"jobs-{start}.yaml").write_text(text)
    try:
        ready = await headgate.start()
        assert headgate.process is not None
        status = Path(f"/proc/{headgate.process.pid}/status").read_text()
        memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
        connector = aiohttp.UnixConnector(path=str(folder / "data" / "headgate.sock"))
        async with aiohttp.ClientSession() as http, aiohttp.ClientSession(connector=connector) as local:
            acks, judged = [], []
            for number in range(SEQUENTIAL):
                started = time.perf_counter()
                delivery = await deliver(http, headgate, number % repositories, number)
                acks.append((time.perf_counter() - started) * 1e3)
                while await state(local, delivery) == "recorded":
                    await asyncio.sleep(0.001)
                judged.append((time.perf_counter() - started) * 1e3)
            started = time.perf_counter()
            gate = asyncio.Semaphore(64)

            async def one(number: int) -> str:
                async with gate:
                    return await deliver(http, headgate, number % repositories, 10_000 + number)

            ids = await asyncio.gather(*(one(number) for number in range(CONCURRENT)))
            while any([await state(local, one) == "recorded" for one in ids[-64:]]):
                await asyncio.sleep(0.01)
            rate = CONCURRENT / (time.perf_counter() - started)
        print(
            f"{jobs:>7} {ready:>8.2f} {memory:>10.0f} {sorted(acks)[len(acks) // 2]:>11.1f} "
            f"{sorted(judged)[len(judged) // 2]:>14.1f} {rate:>9.0f}",
            flush=True,
        )
    finally:
        headgate.close()


async def deliver(http: aiohttp.ClientSession, headgate: Headgate, repository: int, number: int) -> str:
    body = github_push(
        f"acme/repo-{repository}", f"refs/heads/release/{number}", None, f"{number + 1:040x}", paths=["a.py"]
    )
    async with http.post(f"{headgate.url}/webhooks/hub", data=body, headers=github_headers(body)) as answer:
        assert answer.status == 202, await answer.text()
        return (await answer.json())["delivery"]


async def state(local: aiohttp.ClientSession, delivery: str) -> str:
    async with local.get(f"http://localhost/api/v1/deliveries/{delivery}") as answer:
        return (await answer.json())["state"]


if __name__ == "__main__":
    asyncio.run(main())
