"""What a page's main thread does frame by frame, by the browser's own trace and its profiler of scripts.

A frame is everything that the main thread did since the one before it ended. Of it are told: its work (script, style,
layout, paint and collecting garbage, as time on a processor, so that waiting for a graphics card that is not there
is not counted), and of that what runs in or below functions of our own files, sampled every 0.2 ms as time on the wall.
Never more than the task took of a processor: what another program kept from it is not its doing. A task that took
longer than 50 ms on the wall is told with what it did; of that ours are our functions and style, layout and paint.
"""

import bisect
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from playwright.sync_api import Page

OURS = "/js/"  # addresses of the pages' own modules; libraries lie under /vendor/
LONG_MS = 50.0
SAMPLED_US = 200
_CATEGORIES = [
    "devtools.timeline", "disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame",
    "blink.user_timing", "__metadata",
]  # fmt: skip
_STYLE = {"UpdateLayoutTree", "Layout", "PrePaint", "Paint", "Layerize", "Commit"}
_IDLE = {"(idle)", "(root)"}
# What is drawn goes nowhere: without a graphics card a frame of this map takes up to two seconds, in another process.
# How much is asked of the card is counted instead.
SWALLOW = """
window.asked = { calls: 0, indices: 0 };
{
  const ask = (count) => { asked.calls += 1; asked.indices += count; };
  WebGL2RenderingContext.prototype.drawElements = (mode, count) => ask(count);
  WebGL2RenderingContext.prototype.drawArrays = (mode, first, count) => ask(count);
}
"""


@dataclass(frozen=True)
class Long:
    """A task over 50 ms: its length, its time on a processor, of that ours, and what it was busy with."""

    wall_ms: float
    busy_ms: float
    ours_ms: float
    doing: str


@dataclass
class Gesture:
    """All frames of a gesture; milliseconds."""

    name: str
    work: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    long: list[Long] = field(default_factory=list)
    top: Counter[str] = field(default_factory=Counter)  # our own functions, what runs below them included
    calls: float = 0.0  # to the graphics card, a frame
    indices: float = 0.0

    def add(self, other: "Gesture") -> None:
        """The same gesture once more."""
        frames, more = len(self.work), len(other.work)
        for of in ("calls", "indices"):
            both = getattr(self, of) * frames + getattr(other, of) * more
            setattr(self, of, both / max(frames + more, 1))
        self.work += other.work
        self.ours += other.ours
        self.long += other.long
        self.top += other.top

    def said(self, of: str) -> str:
        times = np.array(getattr(self, of) or [0.0])
        return f"{np.median(times):5.1f} {np.quantile(times, 0.95):5.1f} {times.max():6.1f}"

    def p95(self, of: str) -> float:
        return float(np.quantile(getattr(self, of) or [0.0], 0.95))


class Samples:
    """Times of samples, whether they are ours, and the functions on their stacks."""

    def __init__(self, profile: dict[str, Any]) -> None:
        nodes = {each["id"]: each for each in profile["nodes"]}
        parent = {child: each["id"] for each in profile["nodes"] for child in each.get("children", [])}
        self.stacks: dict[int, list[str]] = {}
        self.is_ours: dict[int, bool] = {}
        for number in nodes:
            stack, at, ours = [], number, False
            while at is not None:
                frame = nodes[at]["callFrame"]
                file = frame["url"].rpartition("/")[2]
                mine = OURS in frame["url"]
                ours |= mine
                name = f"{file}:{frame['functionName'] or '(anonymous)'}"
                stack.append(f"{name}:{frame['lineNumber'] + 1}" if mine else name.replace(":", " ").strip())
                at = parent.get(at)
            self.stacks[number], self.is_ours[number] = stack, ours
        at, self.times = profile["startTime"], []
        for delta in profile["timeDeltas"]:
            at += delta
            self.times.append(at)
        self.nodes = profile["samples"]

    def between(self, start: float, end: float) -> Iterator[tuple[int, float]]:
        """Node and microseconds of each sample; a sample stands for the time until the next."""
        at = max(bisect.bisect_right(self.times, start) - 1, 0)
        while at < len(self.times) and self.times[at] < end:
            until = self.times[at + 1] if at + 1 < len(self.times) else end
            spent = min(until, end) - max(self.times[at], start)
            if spent > 0:
                yield self.nodes[at], spent
            at += 1

    def ours(self, start: float, end: float, top: Counter[str] | None = None) -> float:
        """Milliseconds in or below our functions."""
        total = 0.0
        for node, spent in self.between(start, end):
            if self.is_ours[node]:
                total += spent
                if top is not None:
                    for each in {name for name in self.stacks[node] if name.count(":") == 2}:
                        top[each] += spent / 1000
        return total / 1000

    def doing(self, start: float, end: float) -> str:
        """The innermost of our functions, else of the libraries', that took most."""
        spent: Counter[str] = Counter()
        for node, time in self.between(start, end):
            stack = self.stacks[node]
            if stack[0] in _IDLE:
                continue
            mine = [name for name in stack if name.count(":") == 2]
            chain = " < ".join([*([] if mine[:1] == stack[:1] else stack[:1]), *mine[:3]])
            spent[chain if mine else stack[0]] += time / 1000
        return "; ".join(f"{name} {ms:.0f} ms" for name, ms in spent.most_common(3))


def _tasks(trace: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Tasks of the page's main thread in order, and what happened in it."""
    mains = {(each["pid"], each["tid"]) for each in trace
             if each.get("name") == "thread_name" and each["args"].get("name") == "CrRendererMain"}  # fmt: skip
    marks = {each["name"]: each for each in trace if each.get("name") in {"gesture-begins", "gesture-ends"}}
    begins, ends = marks["gesture-begins"], marks["gesture-ends"]
    main = (begins["pid"], begins["tid"])
    assert main in mains
    own = sorted(
        (each for each in trace if (each["pid"], each["tid"]) == main and "ts" in each
         and begins["ts"] < each["ts"] < ends["ts"]),
        key=lambda each: each["ts"],
    )  # fmt: skip
    # The last task is the one that says that it ended.
    return _outermost([each for each in own if each["name"] == "RunTask"])[:-1], own


def _outermost(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in events:
        if not found or each["ts"] >= found[-1]["ts"] + found[-1]["dur"]:
            found.append(each)
    return found


def _inside(events: list[dict[str, Any]], starts: list[float], task: dict[str, Any]) -> list[dict[str, Any]]:
    low = bisect.bisect_left(starts, task["ts"])
    return events[low : bisect.bisect_left(starts, task["ts"] + task["dur"])]


def read(gesture: Gesture, trace: list[dict[str, Any]], profile: dict[str, Any]) -> None:
    """Fills in the frames and long tasks of a gesture."""
    samples = Samples(profile)
    tasks, events = _tasks(trace)
    starts = [each["ts"] for each in events]
    work = ours = 0.0
    for task in tasks:
        inside = _inside(events, starts, task)
        start, end = task["ts"], task["ts"] + task["dur"]
        styled = _outermost([each for each in inside if each["name"] in _STYLE and each.get("ph") == "X"])
        busy = task["tdur"] / 1000
        mine = min(samples.ours(start, end, gesture.top), busy)
        work += busy
        ours += mine
        if task["dur"] / 1000 > LONG_MS:
            drawn = sum(each["tdur"] for each in styled) / 1000
            said = f"{samples.doing(start, end)}; style, layout and paint {drawn:.0f} ms"
            gesture.long.append(Long(task["dur"] / 1000, busy, min(mine + drawn, busy), said))
        if any(each["name"] == "BeginMainThreadFrame" for each in inside):
            gesture.work.append(work)
            gesture.ours.append(ours)
            work = ours = 0.0


@contextmanager
def measured(page: Page, name: str) -> Iterator[Gesture]:
    """Measures what is done within; the figures are there once it is left."""
    gesture = Gesture(name)
    session = page.context.new_cdp_session(page)
    session.send("Profiler.enable")
    session.send("Profiler.setSamplingInterval", {"interval": SAMPLED_US})
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=_CATEGORIES)
    session.send("Profiler.start")
    page.evaluate("Object.assign(asked, { calls: 0, indices: 0 }); performance.mark('gesture-begins')")
    yield gesture
    asked = page.evaluate("performance.mark('gesture-ends'); asked")
    profile = session.send("Profiler.stop")["profile"]
    trace = json.loads(browser.stop_tracing())["traceEvents"]
    session.detach()
    read(gesture, trace, profile)
    frames = max(len(gesture.work), 1)
    gesture.calls, gesture.indices = asked["calls"] / frames, asked["indices"] / frames
