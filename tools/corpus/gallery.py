"""Each mistake of tests/gallery, and its mended twin, through `diagnose`, torchtest2 and torch-audit."""

import json
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from d2lblocks.diagnosis import diagnose
from tests.gallery import CASES, Case, Given
from tools.corpus.nets import loss_of, optimizer_of
from tools.corpus.peers import PEERS, Alarm, alarms
from tools.real_nets.digests import seed
from tools.real_nets.runs import Report, Task

GALLERY = "gallery"  # the collection of these tasks
WITH_LOSS = "with a loss: "  # marks what a tool reports with a loss that the case does not have


def ours(build: Callable[[], Given]) -> list[Alarm]:
    given = build()
    found = diagnose(given.net, *given.args, **given.options)
    return [Alarm(each.code, each.level == "error", ", ".join(each.names)) for each in found]


def of_peer(peer: Callable[..., list[Alarm]], build: Callable[[], Given]) -> list[Alarm]:
    """What a tool reports if it is given the loss and the optimizer of the case, and with usual ones.

    With a loss, the tools check more. A case of `diagnose` may need none.
    """
    given = build()
    loss, optimizer = given.options.get("loss"), given.options.get("optimizer")
    found = alarms(peer, given.net, given.args, named(given), loss, optimizer)
    if loss is None:
        given = build()
        extra = alarms(
            peer, given.net, given.args, named(given), loss_of, optimizer or optimizer_of(given.net)
        )
        found += [each._replace(code=f"{WITH_LOSS}{each.code}") for each in extra]
    return found


def named(given: Given) -> dict[str, Any]:
    """The keyword arguments of the net's call, which are among the options of `diagnose`."""
    own = ("loss", "optimizer", "ties", "silence")
    return {name: value for name, value in given.options.items() if name not in own}


TOOLS: dict[str, Callable[[Callable[[], Given]], list[Alarm]]] = {
    "diagnose": ours,
    **{name: partial(of_peer, peer) for name, peer in PEERS.items()},
}


def tasks() -> list[Task]:
    return [Task(GALLERY, case.name, partial(compared, case)) for case in CASES]


def compared(case: Case, report: Report) -> None:
    """What each tool reports for the mistake and for its twin."""
    for name, tool in TOOLS.items():
        for kind in ("mistake", "twin"):
            report.tell((f"{name}: {kind}", ""))
            found = reported(tool, case, kind == "mistake")
            report.tell((f"{name}: {kind}", json.dumps(found)))


def reported(tool: Callable[[Callable[[], Given]], list[Alarm]], case: Case, wrong: bool) -> list[Alarm]:
    def build() -> Given:
        seed(0)
        return case.build(wrong)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tool(build)
        except Exception as error:  # also from the optimizer that a tool is given: parameters() may fail
            return [Alarm(f"failed: {type(error).__name__}", True, "")]


def verdict(checks: dict[str, str], tool: str) -> dict[str, bool]:
    """Whether a tool detects the mistake, and what it reports for the twin.

    A mistake is detected if the tool reports anything that it does not report for the twin, at any level.
    What it reports for the twin is counted for the loss and the optimizer of the case only.
    """
    mistake, twin = (
        {tuple(each) for each in told(checks[f"{tool}: {kind}"])} for kind in ("mistake", "twin")
    )
    alone = [is_error for code, is_error, _ in twin if not code.startswith(WITH_LOSS)]
    return {"detected": bool(mistake - twin), "errors": any(alone), "anything": bool(alone)}


def told(outcome: str) -> list[Alarm]:
    """What a tool has reported. A tool that was stopped, or died, has failed in a way that users notice."""
    if not outcome.startswith("["):
        return [Alarm(outcome, True)]
    return [Alarm(*each) for each in json.loads(outcome)]
