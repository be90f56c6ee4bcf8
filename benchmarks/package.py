"""What does the package cost, compared with torch.nn and a few lines of custom code?

python benchmarks/package.py [--rounds N] [--write]

Each round is a fresh process, in which both sides take turns of some milliseconds.
"""

import collections
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from measure import arguments, fresh, origin, ratio, seconds, show, table, take_turns

os.environ["KINETO_LOG_LEVEL"] = "99"  # keep the profiler quiet
SIZES = [(1, 16), (64, 16), (1, 1024), (64, 1024)]  # batch, width
TURN = 0.01  # seconds
TURNS = 21


def blocks(width: int) -> dict[str, tuple[Any, Any]]:
    """Each block, and the same net with torch.nn, or a custom module if torch.nn has none."""
    from torch import cat, nn

    import d2lblocks

    def layers() -> list[nn.Module]:
        return [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)]

    class Fixed(nn.Module):
        """The obvious implementation; the library's also checks that the values are finite."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(width, width)
            self.register_buffer("rand_weight", nn.init.uniform_(self.linear.weight.detach().clone()))

        def forward(self, X: Any) -> Any:
            Y = self.linear(nn.functional.relu(self.linear(X) @ self.rand_weight + 1))
            while Y.abs().sum() > 1:
                Y = Y / 2
            return Y.sum()

    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(width, width), nn.Linear(width, width)

        def forward(self, X: Any) -> Any:
            return cat([self.a(X), self.b(X)], dim=-1)

    class Centered(nn.Module):
        def forward(self, X: Any) -> Any:
            return X - X.mean()

    nest = [nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU()]
    return {
        "MLP": (d2lblocks.MLP(width, width, width), nn.Sequential(*layers())),
        "MySequential": (d2lblocks.MySequential(*layers()), nn.Sequential(*layers())),
        "NestMLP": (d2lblocks.NestMLP(width), nn.Sequential(nn.Sequential(*nest), nn.Linear(32, 16))),
        "FixedHiddenMLP": (d2lblocks.FixedHiddenMLP(width), Fixed()),
        "Parallel": (d2lblocks.Parallel(nn.Linear(width, width), nn.Linear(width, width)), Joined()),
        "CenteredLayer": (d2lblocks.CenteredLayer(), Centered()),
        "MyLinear": (d2lblocks.MyLinear(width, width), nn.Linear(width, width)),
        "MyLazyLinear": (d2lblocks.MyLazyLinear(width), nn.LazyLinear(width)),
    }


def pairs(batch: int, width: int, device: str = "cpu") -> Iterator[tuple[str, list[Any], Any]]:
    """Yield each block and its net of torch.nn, both with the same tensors, and a batch for them."""
    import torch

    for name, (ours, theirs) in blocks(width).items():
        X = torch.rand(batch, width, device=device)
        for net in (ours, theirs):
            net.to(device)(X)
        # The work of a net may depend on its values, and its speed on their place in memory.
        same = dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True))
        theirs.load_state_dict(same, assign=True)
        yield name, [ours, theirs], X


def in_turns(*sides: Callable[[], object], wait: Callable[[], object] = lambda: None) -> list[float]:
    """The seconds of one call of each side: the median of its turns. A turn ends when `wait` returns."""
    counts = []
    for side in sides:
        side()
        wait()
        start = time.perf_counter()
        side()
        wait()
        counts.append(max(1, round(TURN / (time.perf_counter() - start))))
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(TURNS):
        for side, count, found in list(zip(sides, counts, times, strict=True))[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            for _ in itertools.repeat(None, count):
                side()
            wait()
            found.append((time.perf_counter() - start) / count)
    return [statistics.median(found) for found in times]


def allocated(call: Callable[[], object]) -> int:
    """The bytes of all tensors that one call creates."""
    from torch.profiler import profile

    with profile(profile_memory=True) as profiler:
        call()
    return sum(max(event.self_cpu_memory_usage, 0) for event in profiler.events())


def calls(batch: int, width: int, compiled: bool) -> dict[str, dict[str, list[float]]]:
    import torch

    torch.set_num_threads(1)
    found = {}
    for name, nets, X in pairs(batch, width):
        sides = [partial(torch.compile(net) if compiled else net, X) for net in nets]
        found[name] = {"seconds": in_turns(*sides), "bytes": [float(allocated(side)) for side in sides]}
    return found


def importing(*packages: str) -> list[dict[str, float]]:
    """The seconds since the start and the number of loaded modules, after each import."""
    import importlib
    import sys

    found = []
    start = time.perf_counter()
    for package in packages:
        importlib.import_module(package)
        found.append({"seconds": time.perf_counter() - start, "modules": len(sys.modules)})
    return found


def tools() -> dict[str, list[float]]:
    """Each tool, compared with the code that one would write instead."""
    import torch
    from torch import nn

    from d2lblocks import apply_init, parameter_table, shared_names

    torch.set_num_threads(1)
    net = nn.Sequential(*(nn.Linear(4, 4) for _ in range(2000)))

    def shapes() -> object:
        return [(name, tuple(p.shape), p.dtype, p.numel()) for name, p in net.named_parameters()]

    def pointers() -> object:
        groups = collections.defaultdict(list)
        for name, parameter in net.named_parameters(remove_duplicate=False):
            groups[parameter.data_ptr()].append(name)
        return [names for names in groups.values() if len(names) > 1]

    def lazy() -> nn.Module:
        layers = [[nn.LazyConv2d(8, 3, padding=1), nn.ReLU()] for _ in range(20)]
        return nn.Sequential(*itertools.chain(*layers), nn.Flatten(), nn.LazyLinear(10))

    X = torch.rand(1, 3, 16, 16)
    return {
        "`parameter_table` vs. a list of names and shapes": in_turns(lambda: parameter_table(net), shapes),
        "`shared_names` vs. a dictionary of `data_ptr`": in_turns(lambda: shared_names(net), pointers),
        "`apply_init` of a lazy convolutional net vs. `net(X)`": in_turns(
            lambda: apply_init(lazy(), X), lambda: lazy()(X)
        ),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--one", nargs="+", metavar="WHAT", help="what a fresh process measures")
    options = parser.parse_args()
    match options.one:
        case ["calls", batch, width, compiled]:
            print(json.dumps(calls(int(batch), int(width), compiled == "compiled")))
            return
        case ["import", *packages]:
            print(json.dumps(importing(*packages)))
            return
        case ["tools"]:
            print(json.dumps(tools()))
            return

    once = partial(fresh, __file__, "--one")
    imports = take_turns(["import"], lambda way: once(way, "torch", "d2lblocks"), options.rounds)["import"]
    alone, both = zip(*imports, strict=True)
    rows = [
        [
            what,
            show_it([each[key] for each in both]),
            ratio(*([each[key] for each in side] for side in (both, alone))),
        ]
        for what, key, show_it in (
            ("`import torch, d2lblocks` vs. `import torch`", "seconds", seconds),
            ("modules that this imports", "modules", lambda counts: f"{counts[0]:,}"),
        )
    ]
    found = take_turns(["tools"], once, options.rounds)["tools"]
    for name in found[0]:
        ours, theirs = ([each[name][side] for each in found] for side in (0, 1))
        rows.append([name, seconds(ours), ratio(ours, theirs)])
    notes = ["", origin(options.rounds, "torch")]
    show(
        {
            ("speed.md", "table of tools"): table(
                ["the package vs. what you would use instead", "time", "ratio"], rows
            )
            + notes
        },
        options.write,
    )

    ways = [(mode, batch, width) for mode in ("eager", "compiled") for batch, width in SIZES]
    timed = take_turns(ways, lambda way: once("calls", str(way[1]), str(way[2]), way[0]), options.rounds)
    for mode, part in (("eager", "table of blocks"), ("compiled", "table of compiled blocks")):
        sizes = {f"{batch} of {width}": timed[mode, batch, width] for batch, width in SIZES}
        rows = []
        for name, first in timed[mode, *SIZES[0]][0].items():
            cells = [
                ratio(*([each[name]["seconds"][side] for each in results] for side in (0, 1)))
                for results in sizes.values()
            ]
            ours, theirs = first["bytes"]
            rows.append([f"`{name}`", *cells, f"{ours / theirs:.2f}"])
        lines = table([f"a call vs. `torch.nn`, {mode}", *sizes, "memory"], rows) + notes
        show({("speed.md", part): lines}, options.write)


if __name__ == "__main__":
    main()
