"""What does `diagnose` cost, compared with one forward and backward pass and with two other tools?

python benchmarks/diagnosis.py [--rounds N] [--write]

Each net is a chain of blocks with a layer normalization, a linear layer and a ReLU. Each round is a fresh
process, in which the ways take turns. Memory is the growth of the process beyond that of a forward and
backward pass, for a net of few wide layers, each way in a process of its own.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from measure import arguments, fresh, origin, ratio, seconds, show, table, take_turns

BLOCKS = [2, 24, 124, 499]  # each has 4 modules, and there are 2 more
WIDTH, BATCH = 128, 32
WIDE = 4096  # for memory: two blocks have 134 MB
TURNS = 3
LIMIT = 6, 0.5  # the promise of `diagnose`: so many times one forward and backward pass, plus so many seconds
STEP, CALL, LOSS = "a forward and backward pass", "`diagnose(net, X)`", "`diagnose(net, X, loss, optimizer)`"
TORCHTEST2, WITH_LOSS, TORCH_AUDIT = (
    "torchtest2, inputs only",
    "torchtest2, loss and optimizer",
    "torch-audit",
)
WAYS = [STEP, CALL, LOSS, TORCHTEST2, WITH_LOSS, TORCH_AUDIT]


def net_of(blocks: int, width: int) -> tuple[Any, Any]:
    """A net, and a batch for it."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.linear, self.relu = nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU()

        def forward(self, X: Any) -> Any:
            return X + self.relu(self.linear(self.norm(X)))

    torch.manual_seed(0)
    torch.set_num_threads(1)
    return nn.Sequential(*(Block() for _ in range(blocks)), nn.Linear(width, 10)), torch.randn(BATCH, width)


def ways(net: Any, X: Any) -> dict[str, Callable[[], object]]:
    """Each way, as a function without arguments."""
    import torch
    from torch.nn import functional as F

    from d2lblocks.diagnosis import diagnose

    y = torch.arange(len(X)) % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001)

    def loss(Y: Any) -> Any:
        return F.cross_entropy(Y, y)

    def step() -> None:
        optimizer.zero_grad()
        loss(net(X)).backward()

    def audit() -> None:
        with import_module("torch_audit").audit_dynamic(net, optimizer=optimizer) as auditor:
            optimizer.zero_grad()
            auditor.backward(loss(auditor.forward(X)))
            auditor.optimizer_step()
        auditor.finish()

    def check(**options: Any) -> None:
        import_module("torchtest2").check_model(net, X, **options)

    return {
        STEP: step,
        CALL: lambda: diagnose(net, X),
        LOSS: lambda: diagnose(net, X, loss=loss, optimizer=optimizer),
        TORCHTEST2: check,
        WITH_LOSS: lambda: check(loss_fn=loss, optimizer=optimizer),
        TORCH_AUDIT: audit,
    }


def times(blocks: int) -> dict[str, float]:
    """The seconds of each way: the median of its turns."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for way, run in ways(*net_of(1, WIDTH)).items():
        if way != WITH_LOSS:
            run()  # what happens only at the first call is not measured
    for turn in range(TURNS):
        for way, run in ways(*net_of(blocks, WIDTH)).items():
            if way == WITH_LOSS and turn:
                continue  # it trains the net for up to 200 steps, so one turn is long enough
            start = time.perf_counter()
            run()
            found[way].append(time.perf_counter() - start)
    return {way: statistics.median(each) for way, each in found.items()}


def memory(way: str) -> float:
    """How many copies of the net a way takes in addition to a forward and backward pass."""
    net, X = net_of(2, WIDE)
    functions = ways(net, X)
    functions[STEP]()
    before = peak()
    functions[STEP]()
    for parameter in net.parameters():
        parameter.grad = None
    functions[way]()
    return float((peak() - before) / sum(each.nbytes for each in net.parameters()))


def peak() -> int:
    """The bytes of memory that this process has had at most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "WHICH"), help="what a fresh process measures")
    options = parser.parse_args()
    match options.one:
        case ["times", blocks]:
            print(json.dumps(times(int(blocks))))
            return
        case ["memory", way]:
            print(json.dumps(memory(way)))
            return

    once = partial(fresh, __file__, "--one")
    timed = take_turns(BLOCKS, lambda blocks: once("times", str(blocks)), options.rounds)
    copies = take_turns(WAYS, lambda way: once("memory", way), options.rounds)
    rows = []
    for way in WAYS:
        cells = []
        for blocks in BLOCKS:
            own, step = ([each[name] for each in timed[blocks]] for name in (way, STEP))
            cells.append(seconds(own) if way == STEP else ratio(own, step))
        memories = statistics.median(copies[way])
        rows.append([way, *cells, "" if way == STEP else f"{max(memories, 0):.1f}"])
    head = ["times as long as a forward and backward pass", *(f"{4 * b + 2:,} modules" for b in BLOCKS)]
    factor, plus = LIMIT
    over = [
        f"{way} of {4 * blocks + 2:,} modules"
        for blocks in BLOCKS
        for way in (CALL, LOSS)
        if any(each[way] > factor * each[STEP] + plus for each in timed[blocks])
    ]
    promise = f"At most {factor} forward and backward passes and {plus} s: {', '.join(over) or 'all'}"
    lines = [
        *table([*head, "copies of the net"], rows),
        "",
        f"{promise}{' took longer' if over else ' nets'}.",
        origin(options.rounds, "torch", "torchtest2", "torch-audit"),
    ]
    show({("diagnosis.md", "table of costs"): lines}, options.write)


if __name__ == "__main__":
    main()
