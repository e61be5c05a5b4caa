"""Death at every system call of one delivery's life, from the connection to the news of its build: nothing is lost.

First one whole life is traced: delivery, fetch, checkout, build, news. Then, for each call of each of the server's
threads that changes anything outside of it, another life is lived and the server killed at the moment it makes that
call, before the kernel does it. It is started again, sent again what it had not answered, and must keep its promises.
"""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from git_server import commit_to
from live import FakeGitHub, Headgate, github_headers, github_push
from promises import losses, rows, settled, until
from receiver import Receiver
from soak import LONG
from storm import CONFIG
from tracing import Strace, calls, need_strace, threads
from warm import WarmParent

POINTS = 10_000 if LONG else 90

CHANGING = (
    "accept4",
    "chmod",
    "clone",
    "clone3",
    "close",
    "connect",
    "copy_file_range",
    "fallocate",
    "fchmod",
    "fchmodat",
    "fdatasync",
    "fsync",
    "ftruncate",
    "io_uring_enter",
    "kill",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "openat",
    "pidfd_send_signal",
    "pipe2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "shutdown",
    "socketpair",
    "symlink",
    "symlinkat",
    "sync_file_range",
    "truncate",
    "unlink",
    "unlinkat",
    "utimensat",
    "vfork",
    "write",
    "writev",
)
"""What a crash could fall between. Reading, waiting and memory leave nothing behind that a restart could find."""

JOBS = """
jobs:
  lived:
    source: {connection: hub, repository: acme/real}
    triggers: {push: {}}
    run:
      environment: {LEDGER: FOLDER/executed.txt}
      steps: [{name: one, run: 'echo "lived $GIT_COMMIT" >> "$LEDGER"; test "$(git rev-parse HEAD)" = "$GIT_COMMIT"'}]
    notify: [{webhook: {url: "RECEIVER", secret: secret://env/HOOK}}]
"""


class Point(NamedTuple):
    """The `number`th `call` of a thread, the server's threads being counted in the order in which they started."""

    thread: int
    call: str
    number: int


class Lives:
    """One server, one delivery after another; each lives from its connection to its told news."""

    def __init__(self, headgate: Headgate, hub: FakeGitHub, receiver: Receiver) -> None:
        self.headgate = headgate
        self.acknowledged: dict[str, str] = {}
        self._receiver = receiver
        self._bare = hub.create("acme/real")
        self._head: str | None = None
        self._count = 0

    async def begin(self) -> None:
        """A first life, an end and a new start: every later life begins as after a crash."""
        await self.headgate.start()
        await self.live()
        await self.headgate.kill()
        await self.headgate.start()
        await self.live()

    async def traced(self, file: Path) -> list[Point]:
        """Live once more; every point of it, in the order of the trace."""
        pid = self._pid
        order = {tid: number for number, tid in enumerate(threads(pid))}
        with Strace(pid, file, "-e", f"trace=?{',?'.join(CHANGING)}"):
            assert await self.live()
        counts: Counter[tuple[int, str]] = Counter()
        points = []
        for call in calls(file):
            if call.begins and call.tid in order and call.name in CHANGING:
                place = order[call.tid], call.name
                counts[place] += 1
                points.append(Point(*place, counts[place]))
        return points

    async def killed_at(self, point: Point) -> bool:
        """Live until `point`, then on after a new start. False: this life never came to that point.

        Which thread of a pool does what is chance: in a second life it may be any but the first.
        """
        at = f"inject={point.call}:signal=SIGKILL:when={point.number}"
        for which in (slice(point.thread, point.thread + 1), slice(1, None)):
            if those := threads(self._pid)[which]:
                with Strace(those, Path("/dev/null"), "-e", f"trace={point.call}", "-e", at):
                    if not await self.live():
                        return True
        return False

    async def live(self) -> bool:
        """Push, deliver, and wait for the end; when the server dies, start it and deliver again what was not answered.

        Whether it survived.
        """
        body, headers, sha = self._push()
        answered = await self._post(body, headers, sha)
        try:
            await until(lambda: not self._alive or self._over(sha), "the end of a life")
        except AssertionError as stuck:
            raise AssertionError(f"{stuck}: answered {answered}; {self._standing(sha)}") from None
        if self._alive:
            return True
        await self.headgate.start()
        if not answered:
            assert await self._post(body, headers, sha)
        await settled(self.headgate.folder)
        return False

    def losses(self) -> dict[str, list[str]]:
        return losses(self.headgate.folder, self._receiver, self.acknowledged, lambda _: ("lived",))

    @property
    def _pid(self) -> int:
        assert self.headgate.process is not None
        return self.headgate.process.pid

    @property
    def _alive(self) -> bool:
        return self.headgate.process is not None and self.headgate.process.poll() is None

    def _push(self) -> tuple[bytes, dict[str, str], str]:
        self._count += 1
        before, self._head = self._head, commit_to(self._bare, {"file.txt": f"{self._count}\n"}, f"Nr. {self._count}")
        body = github_push("acme/real", "refs/heads/main", before, self._head)
        return body, github_headers(body), self._head

    async def _post(self, body: bytes, headers: dict[str, str], sha: str) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
                http.post(f"{self.headgate.url}/webhooks/hub", data=body, headers=headers) as answer,
            ):
                if answer.status in (200, 202):
                    self.acknowledged[(await answer.json())["delivery"]] = sha
                    return True
        return False

    def _standing(self, sha: str) -> dict[str, object]:
        """How far the life of `sha` came, for whoever wonders why it does not end."""
        question = {
            "builds": "select sha = ?, state, outcome, count(*) from builds group by 1, 2, 3",
            "deliveries": "select ? is null, state, reason, count(*) from deliveries group by 2, 3",
            "news": "select ? is null, state, count(*) from notifications group by 2",
        }
        found = {what: rows(self.headgate.folder, sql, sha) for what, sql in question.items()}
        workspaces = [one.name for one in (self.headgate.folder / "data").glob("workspaces/*")]
        return found | {"workspaces": workspaces, "log": self.headgate.output.read_text().splitlines()[-20:]}

    def _over(self, sha: str) -> bool:
        """Built, told, and cleared away."""
        told = (
            "select 1 from builds join notifications on build_id = builds.id "
            "where sha = ? and builds.state = 'finished' and notifications.state = 'told'"
        )
        left = self.headgate.folder / "data" / "workspaces"
        return bool(rows(self.headgate.folder, told, sha)) and not any(left.iterdir())


@pytest.fixture
async def begun(tmp_path):
    """`begun(program)` gives lives that have begun."""
    need_strace()
    parent = WarmParent()
    async with FakeGitHub(tmp_path / "hosted") as hub, Receiver(slowest=0) as receiver:
        made = []

        async def begin(*program: str) -> Lives:
            folder = tmp_path / "headgate"
            jobs = JOBS.replace("FOLDER", str(folder)).replace("RECEIVER", receiver.url)
            # Answered before the commit, but found by what comes right after the answer: a life has an end.
            options = {"program": program, "environment": {"LATER": "0"}} if program else {}
            made.append(Headgate(folder, CONFIG.replace("HUB", hub.url()), jobs, parent=parent, **options))
            lives = Lives(made[0], hub, receiver)
            await lives.begin()
            return lives

        yield begin
        for headgate in made:
            headgate.close()
    parent.close()


@pytest.mark.reliability
@pytest.mark.timeout(7_200 if LONG else 900)
async def test_a_kill_at_any_call_of_a_life_loses_nothing_and_repeats_nothing(begun, tmp_path):
    lives = await begun()
    points = await lives.traced(tmp_path / "trace")
    chosen = points[:: max(1, round(len(points) / POINTS))]
    killed = [point for point in chosen if await lives.killed_at(point)]
    assert await lives.headgate.stop() == 0
    kinds = Counter(point.call for point in killed)
    outcomes = Counter(outcome for (outcome,) in rows(lives.headgate.folder, "select outcome from builds"))
    print(f"a life has {len(points)} calls; killed at {len(killed)} of {len(chosen)}: {dict(kinds)}; {dict(outcomes)}")
    assert lives.losses() == {}
    assert len(killed) > 0.7 * len(chosen), "lives are so much alike that most points are come to"
    assert {"write", "pwrite64", "fdatasync", "openat", "mkdir"} <= {point.call for point in points}


@pytest.mark.reliability
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("protection", "broken"), [("answers_early", "not recorded"), ("forgets_begun", "ran twice")])
async def test_control_without_a_protection_a_kill_at_some_call_breaks_its_promise(begun, tmp_path, protection, broken):
    lives = await begun(sys.executable, str(Path(__file__).parents[1] / "support" / f"{protection}.py"))
    points = await lives.traced(tmp_path / "trace")
    writes = [point for point in points if point.call == "pwrite64"]  # what a transaction is made of
    for point in writes[:: max(1, len(writes) // 20)]:
        await lives.killed_at(point)
    await lives.headgate.stop()
    losses = lives.losses()
    print(f"{protection}: { ({promise: len(which) for promise, which in losses.items()}) }")
    assert broken in losses
