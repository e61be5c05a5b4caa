"""A worker over a real database and real processes, and how to give it builds.

```python
desk = Desk(database, tmp_path)
build_id = await desk.plan("make test", api.Step(name="clean", run="make clean", always=True))
async with desk.at_work():
    build = await desk.until(build_id)
```
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from headgate import api
from headgate.builds.logs import Logs
from headgate.builds.worker import Worker
from headgate.config.settings import WorkerSettings
from headgate.credentials.redaction import Redactor
from headgate.credentials.references import Secrets
from headgate.storage import builds, definitions, events, notifications
from headgate.storage.builds import NewBuild
from headgate.storage.ids import new_id
from headgate.telemetry.metrics import Metrics
from headgate_plugins.process_executor import ProcessExecutor

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


class Told:
    """A notifier that wants all news and tells none itself: the tests read the outbox."""

    def wants(self, phase, build, options):
        return True

    def order_key(self, build, options):
        return build.id

    async def tell(self, notification, provider):
        raise AssertionError("nobody tells in these tests")


class HostOf:
    """What the process executor asks of its host."""

    def now(self):
        return now()


def now():
    return datetime.now(UTC)


class Desk:
    """A worker over a real database, and how to give it work."""

    def __init__(self, database, folder, *, isolation="none"):
        self.database = database
        self.folder = folder
        self.logs = Logs(folder / "data" / "logs")
        self.redactor = Redactor()
        self.metrics = Metrics()
        self.changes = []
        self.executors = {
            "process": ProcessExecutor(
                HostOf(), isolation=isolation, shell=["/bin/bash", "-euo", "pipefail"], readable=[]
            )
        }
        self.stores = {}
        self.notifiers = {"told": Told()}
        self.sources = None
        self.slots = 2
        self.lease = 30.0

    def worker(self, name="w1"):
        return Worker(
            database=self.database,
            executors=self.executors,
            sources=self.sources,
            secrets=Secrets(self.stores, self.redactor),
            redactor=self.redactor,
            notifiers=self.notifiers,
            unseal=lambda sealed, bound_to: f"{sealed}@{bound_to}",
            settings=WorkerSettings(slots=self.slots, lease=self.lease, log_limit=1_000_000),
            data=self.folder / "data",
            hidden=[self.folder / "config.yaml"],
            logs=self.logs,
            public_url="http://ci.example.org",
            metrics=self.metrics,
            now=now,
            name=name,
            environment=ENVIRONMENT,
            changed=self.changes.append,
        )

    async def plan(self, *steps, event=None, sealed=None, retries=0, **more):
        """Queue a build of these steps (scripts, or `Step`s) and give its id."""
        run = {
            "steps": tuple(
                step if isinstance(step, api.Step) else api.Step(name=f"s{n}", run=step)
                for n, step in enumerate(steps, 1)
            ),
            "retries": retries,
        }
        for name in ("timeout", "credentials", "environment", "executor"):
            if name in more:
                run[name] = more.pop(name)
        job = api.Job(
            name="web",
            source=api.Source(
                connection="acme", repository="acme/web", checkout=more.pop("checkout", api.Checkout(enabled=False))
            ),
            run=api.Run(**run),
            notify=(api.Block(kind="told"),),
            definition=uuid.uuid4().hex,
        )
        moment = now()
        event_id = new_id("e", moment)
        new = NewBuild(
            **{
                "id": new_id("b", moment),
                "job": job.name,
                "reason": "a push",
                "trigger": "push",
                "connection": "acme",
                "repository": api.Repository(host="git.example.org", path="acme/web"),
                "repository_key": "acme/web",
                "ref": "refs/heads/main",
                "sha": "a" * 40,
                "definition": job.definition,
                "event_id": event_id,
                "decision_id": "x_1",
                "queued_at": moment,
                "sealed": sealed or {},
                "retries": retries,
                **more,
            }
        )

        async def unit(connection):
            await definitions.keep(connection, [job])
            if event is not None:
                await events.add(
                    connection,
                    [
                        events.EventRecord(
                            id=event_id, event=event, connection="acme", repository="acme/web", observer="webhook",
                            created_at=moment,
                        )
                    ],
                )  # fmt: skip
            return await builds.plan(connection, [new])

        await self.database.writer.write(unit)
        return new.id

    async def get(self, build_id):
        async with self.database.reading() as connection:
            return await builds.get(connection, build_id)

    async def until(self, build_id, state=api.State.FINISHED, seconds=20.0):
        """The build, once it is in this state."""
        end = time.monotonic() + seconds
        while (build := await self.get(build_id)).state is not state:
            assert time.monotonic() < end, f"{build} is not {state} after {seconds} s: {self.log(build_id)}"
            await asyncio.sleep(0.01)
        return build

    async def until_said(self, build_id, text, seconds=20.0):
        """Wait until the log has a line like this."""
        end = time.monotonic() + seconds
        while text not in self.log(build_id):
            assert time.monotonic() < end, f"{self.log(build_id)} has no {text} after {seconds} s"
            await asyncio.sleep(0.01)

    def log(self, build_id):
        return [line.text for line in self.logs.reader(build_id).lines_from(0)]

    def said(self, build_id):
        """What the steps said, without our own words."""
        return [line.text for line in self.logs.reader(build_id).lines_from(0) if line.step]

    async def news(self, build_id):
        async with self.database.reading() as connection:
            return [
                (one.phase, one.build.state.value, one.build.outcome and one.build.outcome.value)
                for one in await notifications.of_build(connection, build_id)
            ]

    @asynccontextmanager
    async def at_work(self, name="w1"):
        """A running worker; drained at once at the end."""
        worker = self.worker(name)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            await worker.drain(0)
            await task
