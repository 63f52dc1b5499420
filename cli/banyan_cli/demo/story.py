"""The demo's story, and its picture: people on three platforms and one at home meet, one platform is cut off, and all
agree in the end.

Everything happens through the control API of four real nodes. Two nodes agree if both of their digests are equal: one
over heads, one over all that people read, content included.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from banyan_cli.demo.nodes import DemoNode, running
from banyan_cli.errors import Failed
from banyan_cli.out import Out
from banyan_node.operator_errors import CallError, NoNode, OperatorError

# Shows the four frontiers live: a row per node, relative to the fullest one, with a colour for each different root.
#
# A separate thread asks each node twice a second. The story runs meanwhile and only adds its sentences.

POLL_SECONDS = 0.4
SILENCE_SECONDS = 2.0
"""The longest that nothing is said where no picture moves."""
_COLOURS = ("green", "yellow", "magenta", "cyan")


class Screen:
    """Sentences of the story, and the last status of each node."""

    def __init__(self, console: Console, nodes: Sequence[DemoNode]) -> None:
        self._console = console
        self._nodes = nodes
        self._status: dict[str, dict[str, Any]] = {}
        self._cut: frozenset[str] = frozenset()
        self._told: deque[str] = deque(maxlen=10)
        self._ended = threading.Event()
        self._began = self._spoke = time.monotonic()
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=5, transient=False)

    def tell(self, sentence: str) -> None:
        """The next sentence of the story."""
        self._told.append(sentence)
        self._spoke = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(sentence)

    def cut_off(self, *names: str) -> None:
        """Mark nodes as cut off; none: nobody is."""
        self._cut = frozenset(names)

    def pause(self, seconds: float) -> None:
        """Time for a person to look; none where nobody does."""
        if self._console.is_terminal:
            self._ended.wait(seconds)

    def hold(self) -> None:
        """Keep the picture as it is now: the nodes are about to stop."""
        self._ended.set()
        if self._console.is_terminal:
            self._look()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Live inside the block, on a terminal; plain sentences elsewhere."""
        person = self._console.is_terminal
        poller = threading.Thread(target=self._poll if person else self._break_silence, daemon=True)
        poller.start()
        try:
            with self._live if person else nullcontext():
                yield
        finally:
            self._ended.set()
            poller.join(5.0)

    def _poll(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            self._look()

    def _break_silence(self) -> None:
        """Says how long it has been, and what the nodes hold, whenever the story was silent for too long."""
        while not self._ended.wait(0.1):
            if time.monotonic() - self._spoke > SILENCE_SECONDS - 0.3:
                self._spoke = time.monotonic()
                self._console.print(self._meanwhile(), highlight=False)

    def _meanwhile(self) -> str:
        self._look(1.0)
        held = [f"{name} {status['entries']:,}" for name, _, status in self._nodes_and_status() if status]
        what = f"entries held: {', '.join(held)}" if held else "the nodes are starting"
        return f"  ... {time.monotonic() - self._began:.0f} s, {what}"

    def _look(self, seconds: float = 10.0) -> None:
        for node in self._nodes:
            try:
                with node.client(seconds) as client:
                    self._status[node.name] = client.call("status")
            except OperatorError:
                self._status.pop(node.name, None)

    def _picture(self) -> RenderableType:
        passed = Text(f"  {time.monotonic() - self._began:.0f} s", "dim")
        lines = [
            Text(f"  {sentence}", "dim" if i < len(self._told) - 1 else "") for i, sentence in enumerate(self._told)
        ]
        return Group(frontiers(self._nodes_and_status(), self._cut), *lines, passed)

    def _nodes_and_status(self) -> list[tuple[str, str, dict[str, Any] | None]]:
        return [(node.name, node.role, self._status.get(node.name)) for node in self._nodes]


def frontiers(rows: Sequence[tuple[str, str, dict[str, Any] | None]], cut: frozenset[str]) -> Table:
    """One row for each (name, role, status); equal roots have equal colours."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("node", no_wrap=True)
    made.add_column("", style="dim", no_wrap=True)
    made.add_column("peers", justify="right")
    made.add_column("entries", justify="right")
    made.add_column("frontier", width=30)
    made.add_column("root", no_wrap=True)
    most = max((status["entries"] for _, _, status in rows if status), default=0)
    colours: dict[str, str] = {}
    for name, role, status in rows:
        if status is None:
            made.add_row(name, role, "", "", Text("starting", "dim"), "")
            continue
        root = status["root"]
        colour = colours.setdefault(root, _COLOURS[min(len(colours), len(_COLOURS) - 1)])
        bar = ProgressBar(total=max(most, 1), completed=status["entries"], width=30, complete_style=colour)
        shown = Text(root[:12], colour)
        if name in cut:
            shown.append("  cut off", "bold red")
        elif status["lacking_parts"]:
            shown.append(f"  {status['lacking_parts']} contents to come", "dim")
        made.add_row(name, role, str(status["peers"]), f"{status['entries']:,}", bar, shown)
    return made


# Who plays in the demo, and what they say.


class CastMember(NamedTuple):
    """One node: its name, its role, and the people whom it hosts."""

    name: str
    role: str
    people: tuple[str, ...]


CAST = (
    CastMember("lotus", "platform", ("Nguyễn Minh Anh", "Trần Thị Lan", "Đỗ Quang Huy")),
    CastMember("mango", "platform", ("Adaeze Okafor", "Olúwaṣeun", "Zainab")),
    CastMember("cedar", "platform", ("Inês Conceição", "João", "花子")),
    CastMember("pi", "hobbyist", ()),
)
NAMES = tuple(part.name for part in CAST)
ISLAND = 2
"""The platform that is cut off for a while."""

FIRST_WORDS = {
    "Nguyễn Minh Anh": ("Thật tuyệt vời, hôm nay trời đẹp quá! ☀️", "vi"),
    "Trần Thị Lan": ("Ai có công thức phở bò ngon không?", "vi"),
    "Adaeze Okafor": ("Market day. The mangoes are finally in 🥭", "en"),
    "Olúwaṣeun": ("A graph that nobody owns. About time.", "en"),
    "Inês Conceição": ("Bom dia a todas e a todos ☕", "pt"),
    "花子": ("桜が咲きました 🌸", "ja"),
    "pi": ("Hello from a small computer on a bookshelf 👋", "en"),
}
ISLAND_WORDS = (
    ("João", "The cable is cut again; we write on."),
    ("Inês Conceição", "Estamos sozinhos, mas não calados 🏝️"),
    ("花子", "まだ、ここにいます。"),
)
MAINLAND_WORDS: tuple[tuple[str, str], ...] = (
    ("Đỗ Quang Huy", "cedar im lặng quá, chuyện gì vậy?"),
    ("Zainab", "Cedar went quiet. Leaving the light on 🕯️"),
    ("pi", "Three of us left, still writing."),
)


AGREE_SECONDS = 15.0
"""How long the nodes may take to agree after each act; the whole stays below a minute."""


def run_demo(out: Out, wait: bool, keep: bool) -> dict[str, Any]:
    """Runs the story. Returns what `--json` prints. wait: keep the nodes running until ctrl-C."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nodes are stopped then too
    folder = Path(tempfile.mkdtemp(prefix="banyan-demo-"))
    nodes = [DemoNode(part.name, part.role, folder) for part in CAST]
    view = Screen(out.notes, nodes)
    try:
        with view.shown():
            view.tell("Making four homes, each with keys of its own.")
            for node in nodes:
                node.make()
            with running(nodes):
                result = _play(nodes, view, began)
                if wait and out.notes.is_terminal:
                    _until_interrupted(view, folder)
                view.hold()
        return result
    finally:
        if keep:
            out.note(f"The four homes are in {folder}.")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _play(nodes: Sequence[DemoNode], view: Screen, began: float) -> dict[str, Any]:
    story = _Story(nodes, view)
    story.meet()
    story.settle()
    story.talk()
    story.agree("All four hold the same graph.")
    story.cut()
    story.write_apart()
    story.join()
    agreed, digests = story.agree("Cedar is back: all four hold the same graph, byte for byte.")
    return {
        "converged": agreed,
        "nodes": len(nodes),
        "digests": [d["digest"] for d in digests],
        "views": [d["views"] for d in digests],
        "entries": min(d["entries"] for d in digests),
        "seconds": round(time.monotonic() - began, 1),
    }


def _until_interrupted(view: Screen, folder: Path) -> None:
    view.tell(f"Try `banyan --home {folder / 'pi'} feed --all` in another terminal. Ctrl-C ends the demo.")
    try:
        while True:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


class _Story:
    """Each method is one act."""

    def __init__(self, nodes: Sequence[DemoNode], view: Screen) -> None:
        self.nodes = nodes
        self.by_name = {node.name: node for node in nodes}
        self.view = view
        self.accounts: dict[str, str] = {}
        self.posts: dict[str, str] = {}
        self.home_of: dict[str, DemoNode] = {}

    def meet(self) -> None:
        """Each later node dials an earlier one; gossip finds the rest."""
        self.view.tell("Four processes are up. Each knows one other; the rest they find by gossip.")
        for earlier, later in zip(self.nodes, self.nodes[1:], strict=False):
            later.call("peers.add", addr=earlier.address)

    def settle(self) -> None:
        """People join the platform of their choice."""
        for part, node in zip(CAST, self.nodes, strict=True):
            self.accounts[part.name] = node.call("id")["account"]
            self.home_of[part.name] = node
            for person in part.people:
                self.accounts[person] = node.call("account.create", name=person, hosted=True)["account"]
                self.home_of[person] = node
        self.view.tell(f"{len(self.accounts)} accounts, each on one node, each with keys of its own.")

    def talk(self) -> None:
        """Posts, follows across platforms, replies, reactions, an edit, a deletion."""
        for person, (text, lang) in FIRST_WORDS.items():
            self.posts[person] = self._do(person, "post", text=text, lang=lang)["uri"]
        self.view.tell("They say hello in five languages.")
        people = list(self.accounts)
        for i, person in enumerate(people):
            for step in (1, 3, 5):
                self._do(person, "follow", account=self.accounts[people[(i + step) % len(people)]])
        self.view.tell("They follow one another across platforms.")
        self._wait_for_posts()
        answer = self._do("Adaeze Okafor", "reply", uri=self.posts["Trần Thị Lan"], text="Not phở, but try my egusi 🍲")
        self._do("花子", "reply", uri=self.posts["Nguyễn Minh Anh"], text="こちらも晴れです ☀️")
        self._do("pi", "react", uri=self.posts["花子"], emoji="🌸")
        self._do("João", "react", uri=self.posts["花子"], emoji="🌸")
        self._do("Zainab", "repost", uri=self.posts["pi"])
        self.view.tell("Answers, reactions and a repost cross from node to node.")
        self.home_of["Adaeze Okafor"].call("edit", uri=answer["uri"], text="Not phở, but try my egusi soup 🍲 (edited)")
        slip = self._do("Đỗ Quang Huy", "post", text="A slip of the thumb")
        self.home_of["Đỗ Quang Huy"].call("delete", uri=slip["uri"])
        self.view.tell("One answer is edited, one post is deleted: everywhere.")

    def cut(self) -> None:
        """The island refuses everybody, so nothing goes in or out."""
        island = self.nodes[ISLAND]
        for other in self._others():
            island.call("peers.ban", peer=other.peer)
            other.call("peers.ban", peer=island.peer)
        self._until(lambda: island.call("status")["peers"] == 0, "cedar still has peers")
        self.view.cut_off(island.name)
        self.view.tell("Cedar is cut off: no peer, no packet.")
        self.view.pause(1.0)

    def write_apart(self) -> None:
        """Both sides go on writing."""
        for person, text in ISLAND_WORDS:
            self._do(person, "post", text=text)
        self._do("João", "reply", uri=self.posts["pi"], text="Answering from the island; you will read it later.")
        self.home_of["Inês Conceição"].call("edit", uri=self.posts["Inês Conceição"], text="Bom dia (da ilha) ☕")
        for person, text in MAINLAND_WORDS:
            self._do(person, "post", text=text)
        digests = [node.call("digest")["digest"] for node in self.nodes]
        if digests[ISLAND] in (digests[:ISLAND] + digests[ISLAND + 1 :]):
            raise Failed("Cedar was cut off and still agrees with another node; the demo shows nothing then.")
        self.view.tell("Both sides write on. Their frontiers are apart now.")
        self.view.pause(2.0)

    def join(self) -> None:
        """The island comes back."""
        island = self.nodes[ISLAND]
        for other in self._others():
            other.call("peers.pardon", peer=island.peer)
            island.call("peers.pardon", peer=other.peer)
        self.view.cut_off()
        self.view.tell("The cable is mended; cedar dials.")
        self._until(lambda: self._dials(island), "cedar reaches nobody")

    def agree(self, sentence: str) -> tuple[bool, list[dict[str, Any]]]:
        """Wait until heads and views are the same everywhere; (whether they are, the last answers)."""
        deadline = time.monotonic() + AGREE_SECONDS
        while True:
            digests = [node.call("digest") for node in self.nodes]
            same = len({(d["digest"], d["views"]) for d in digests}) == 1
            if same and not any(d["lacking_parts"] for d in digests):
                self.view.tell(sentence)
                return True, digests
            if time.monotonic() > deadline:
                self.view.tell("They do not agree yet.")
                return False, digests
            time.sleep(0.2)

    def _others(self) -> list[DemoNode]:
        return [node for i, node in enumerate(self.nodes) if i != ISLAND]

    def _dials(self, island: DemoNode) -> bool:
        for other in self._others():
            try:
                island.call("peers.add", addr=other.address)
            except (CallError, NoNode):
                continue
        return int(island.call("status")["peers"]) > 0

    def _do(self, person: str, method: str, **params: Any) -> Any:
        """`person` acts, on the node that hosts them."""
        return self.home_of[person].call(method, **{"as": self.accounts[person]}, **params)

    def _wait_for_posts(self) -> None:
        """Answering needs the post: until every node has every post."""

        def all_there() -> bool:
            return all(node.call("graph.stats")["posts"] >= len(self.posts) for node in self.nodes)

        self._until(all_there, "not every node has every post")

    def _until(self, true: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + AGREE_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise Failed(f"After {AGREE_SECONDS:.0f} s {otherwise}; `--keep` keeps the logs of the four nodes.")
            time.sleep(0.1)
