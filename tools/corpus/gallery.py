"""Each mistake of tests/gallery, and its mended twin, through `diagnose`, torchtest2 and torch-audit."""

import json
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from d2lblocks.diagnosis import diagnose
from tests.gallery import CASES, Case, Given
from tools.corpus.peers import PEERS, Alarm, alarms
from tools.real_nets.digests import seed
from tools.real_nets.runs import Report, Task

GALLERY = "gallery"  # the collection of these tasks


def ours(given: Given) -> list[Alarm]:
    found = diagnose(given.net, *given.args, **given.options)
    return [Alarm(each.code, each.level == "error", ", ".join(each.names)) for each in found]


def of_peer(peer: Callable[..., list[Alarm]], given: Given) -> list[Alarm]:
    """The tool is given the loss and the optimizer if `diagnose` is."""
    options = dict(given.options)
    loss, optimizer, *_ = (options.pop(name, None) for name in ("loss", "optimizer", "ties", "silence"))
    return alarms(peer, given.net, given.args, options, loss, optimizer)


TOOLS: dict[str, Callable[[Given], list[Alarm]]] = {
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


def reported(tool: Callable[[Given], list[Alarm]], case: Case, wrong: bool) -> list[Alarm]:
    seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return tool(case.build(wrong))


def verdict(checks: dict[str, str], tool: str) -> dict[str, Any]:
    """Whether a tool detects the mistake, and what it reports for the twin.

    A mistake is detected if the tool reports anything that it does not report for the twin, at any level.
    """
    mistake, twin = (
        {tuple(each) for each in told(checks[f"{tool}: {kind}"])} for kind in ("mistake", "twin")
    )
    return {
        "detected": bool(mistake - twin),
        "errors": any(is_error for _, is_error, _ in twin),
        "anything": bool(twin),
    }


def told(outcome: str) -> list[Alarm]:
    """What a tool has reported. A tool that was stopped, or died, has failed in a way that users notice."""
    if not outcome.startswith("["):
        return [Alarm(outcome, True)]
    return [Alarm(*each) for each in json.loads(outcome)]
