"""What do the package, copies to a GPU, and the exercises of the devices page cost on a GPU?

python benchmarks/gpu.py [--rounds N] [--write]

The script needs a CUDA GPU; without one it says so and changes nothing. Each round is a fresh process,
which waits for the GPU before it reads a clock.
"""

import contextlib
import io
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from measure import arguments, fresh, origin, ratio, seconds, show, table, take_turns
from package import in_turns, pairs

from tools.generate.gpu_record import this_machine
from tools.pages import project, topics

DEVICE = "cuda"
MODES = ["eager", "compiled", "CUDA graph"]
SIZES = [(64, 16), (64, 1024), (4096, 4096)]  # batch, width
LOOPS = ["FixedHiddenMLP"]  # the number of iterations depends on values, which a CUDA graph does not support
COPIED = {"1 MiB": 2**20, "64 MiB": 2**26, "1 GiB": 2**30}
PRODUCTS = [16, 256, 1024, 4096]
TURNS = 11  # of each copy
TRIES = 5  # the page takes the fastest of these
# Gigabytes per second and lane, by the generation of PCIe: transfers, and the share of bits that are data.
LANE = {
    generation: transfers * data / 8
    for generation, transfers, data in (
        (1, 2.5, 8 / 10),
        (2, 5, 8 / 10),
        (3, 8, 128 / 130),
        (4, 16, 128 / 130),
        (5, 32, 128 / 130),
        (6, 64, 242 / 256),
    )
}
COPIES = """
The next table shows the speed of copies in gigabytes per second.
Its last two columns, for 1 GiB, are the share of the bus limit and the share of the time that Python waits.
"""
EXERCISES = """
These are the comparisons of [Devices](devices.md#exercises), run with the code of that page:
"""


def wait() -> None:
    import torch

    torch.accelerator.synchronize()


def graph(net: Any, X: Any) -> Callable[[], None]:
    """One call of a net as a CUDA graph (pytorch.org/docs/stable/notes/cuda.html#cuda-graphs)."""
    import torch

    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.no_grad():
        with torch.cuda.stream(side):
            for _ in range(3):
                net(X)
        torch.cuda.current_stream().wait_stream(side)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            net(X)
    return captured.replay


def calls(batch: int, width: int, mode: str) -> dict[str, list[float]]:
    """For each block: the seconds of a call, and those of the same net written with torch.nn."""
    import torch

    def call(net: Any, X: Any) -> Callable[[], object]:
        if mode == "CUDA graph":
            return graph(net, X)
        return partial(torch.compile(net) if mode == "compiled" else net, X)

    return {
        name: in_turns(*(call(net, X) for net in nets), wait=wait)
        for name, nets, X in pairs(batch, width, DEVICE)
        if mode != "CUDA graph" or name not in LOOPS
    }


def copies(size: int) -> dict[str, dict[str, float]]:
    """For each way to copy this many bytes: the seconds until Python goes on and until the copy is done."""
    import torch

    here = torch.rand(size // 4)
    pinned, there = here.pin_memory(), here.to(DEVICE)
    ways: dict[str, Callable[[], object]] = {
        "`X.to(gpu)`": lambda: here.to(DEVICE),
        "`X.to(gpu, non_blocking=True)`": lambda: here.to(DEVICE, non_blocking=True),
        "`pinned.to(gpu)`": lambda: pinned.to(DEVICE),
        "`pinned.to(gpu, non_blocking=True)`": lambda: pinned.to(DEVICE, non_blocking=True),
        "`X.pin_memory().to(gpu, non_blocking=True)`": lambda: here.pin_memory().to(
            DEVICE, non_blocking=True
        ),
        '`on_gpu.to("cpu")`': lambda: there.to("cpu"),
        "`pinned.copy_(on_gpu)`": lambda: pinned.copy_(there),
        "`pinned.copy_(on_gpu, non_blocking=True)`": lambda: pinned.copy_(there, non_blocking=True),
    }

    def once(way: Callable[[], object]) -> tuple[float, float]:
        wait()
        start = time.perf_counter()
        copy = way()
        asked = time.perf_counter() - start
        wait()
        done = time.perf_counter() - start
        del copy  # its memory is in use until here
        return asked, done

    for way in ways.values():
        once(way)
    found = {}
    for name, results in take_turns(ways, lambda name: once(ways[name]), TURNS).items():
        asked, done = (statistics.median(times) for times in zip(*results, strict=True))
        found[name] = {"asked": asked, "done": done}
    return found


def exercises() -> dict[str, list[float]]:
    """The seconds of the comparisons on the devices page, measured with the code of its own snippets."""
    import torch

    gpus = torch.accelerator.device_count()
    (devices,) = (page for page in topics(project().pages()) if page.path.stem == "devices")
    page: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for snippet in devices.snippets:
            if snippet.gpus <= gpus:
                with contextlib.suppress(Exception) if snippet.raises else contextlib.nullcontext():
                    exec("\n".join(snippet.code), page)

    def best(work: Callable[[], object], wait: bool = True) -> float:
        page["seconds"](work, wait=True)
        return float(min(page["seconds"](work, wait=wait) for _ in range(TRIES)))

    def product(X: Any) -> float:
        return best(lambda: X @ X)

    big = torch.rand(8192, 8192, device=DEVICE)
    found = {
        "`big @ big`, until it is done vs. until it is asked for": [
            best(lambda: big @ big, wait=waits) for waits in (True, False)
        ]
    }
    for n in PRODUCTS:
        inputs = [torch.rand(n, n, device=device) for device in ("cpu", DEVICE)]
        found[f"a product of {n} by {n} on the CPU vs. the GPU"] = [product(X) for X in inputs]
    found["1,000 norms, read one by one vs. all at the end"] = [
        best(page["each_time"]),
        best(page["at_the_end"]),
    ]
    if gpus > 1:
        first, second = page["first"], page["second"]
        found["two products on one GPU vs. two GPUs"] = [
            min(page["time_of"](first, other) for _ in range(TRIES)) for other in (first, second)
        ]
    return found


def bus() -> tuple[str, float | None]:
    """The driver and the connection to the first GPU, in words, and the limit in bytes per second."""
    import torch

    query = "--query-gpu=driver_version,pcie.link.gen.max,pcie.link.width.max"
    gpu = f"--id=GPU-{torch.cuda.get_device_properties(0).uuid}"
    said = subprocess.run(
        ["nvidia-smi", gpu, query, "--format=csv,noheader"], capture_output=True, text=True, check=True
    )
    driver, generation, width = said.stdout.strip().split(", ")
    if not (generation.isdigit() and width.isdigit()):
        return f"driver {driver}, which does not tell the bus", None
    limit = LANE[int(generation)] * int(width) * 1e9
    return f"driver {driver}, PCIe {generation} with {width} lanes, at most {limit / 1e9:.1f} GB/s", limit


def blocks_table(once: Callable[..., Any], rounds: int) -> list[str]:
    ways = [(mode, batch, width) for mode in MODES for batch, width in SIZES]
    found = take_turns(ways, lambda way: once("calls", str(way[1]), str(way[2]), way[0]), rounds)
    lines = []
    for mode in MODES:
        sizes = {f"{batch} of {width}": found[mode, batch, width] for batch, width in SIZES}
        rows = [
            [
                f"`{name}`",
                *(
                    ratio(*([each[name][side] for each in results] for side in (0, 1)))
                    for results in sizes.values()
                ),
            ]
            for name in found[mode, *SIZES[0]][0]
        ]
        lines += [*table([f"a call vs. `torch.nn`, {mode}", *sizes], rows), ""]
    return lines[:-1]


def copies_table(once: Callable[..., Any], rounds: int, limit: float | None) -> list[str]:
    found = take_turns(COPIED, lambda size: once("copies", str(COPIED[size])), rounds)
    *_, largest = COPIED
    rows = []
    for way in found[largest][0]:
        rates = [[COPIED[size] / each[way]["done"] for each in results] for size, results in found.items()]
        waits = [each[way]["asked"] / each[way]["done"] for each in found[largest]]
        rows.append(
            [
                way,
                *(f"{statistics.median(values) / 1e9:.2f}" for values in rates),
                ratio(rates[-1], [limit] * rounds) if limit else "not known",
                f"{statistics.median(waits):.2f}",
            ]
        )
    return table(["a copy", *COPIED, "of the limit", "Python waits"], rows)


def exercises_table(once: Callable[..., Any], rounds: int) -> list[str]:
    found = take_turns(["exercises"], once, rounds)["exercises"]
    rows = []
    for name in found[0]:
        one, other = ([each[name][side] for each in found] for side in (0, 1))
        rows.append([name, seconds(one), seconds(other), ratio(one, other)])
    return table(["the first vs. the second", "the first", "the second", "ratio"], rows)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--one", nargs="+", metavar="WHAT", help="what a fresh process measures")
    options = parser.parse_args()
    match options.one:
        case ["calls", batch, width, mode]:
            print(json.dumps(calls(int(batch), int(width), mode)))
            return
        case ["copies", size]:
            print(json.dumps(copies(int(size))))
            return
        case ["exercises"]:
            print(json.dumps(exercises()))
            return
        case ["bus"]:
            print(json.dumps(bus()))
            return

    machine = this_machine()
    if machine is None:
        print("torch finds no CUDA GPU here: the figures of a GPU stay as they are.")
        return
    once = partial(fresh, __file__, "--one")
    told, limit = once("bus")
    lines = [
        *blocks_table(once, options.rounds),
        *COPIES.splitlines(),
        "",
        *copies_table(once, options.rounds, limit),
        *EXERCISES.splitlines(),
        "",
        *exercises_table(once, options.rounds),
        "",
        origin(options.rounds, "torch"),
        f"{machine['gpu']}, CUDA {machine['cuda']}, {told}.",
    ]
    show({("speed.md", "figures of a GPU"): lines}, options.write)


if __name__ == "__main__":
    main()
