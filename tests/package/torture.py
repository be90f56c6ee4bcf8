"""Files damaged at random, writers killed, files replaced while they are read; the outcomes are counted.

python -m tests.package.torture                  all of these, with the project's numbers, for the page
python -m tests.package.torture N [SEED]         N corruptions, and a table of each library's outcomes
python -m tests.package.torture kill [N] [SEED]  N writers that are killed
python -m tests.package.torture two [N]          N saves by each of two processes at once
python -m tests.package.torture load [N]         N loads while another thread saves
"""

import itertools
import mmap
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from d2lblocks.serialization import load_checkpoint, load_parameters, save_checkpoint, save_parameters
from tests.package.damaged_files import corrupted
from tools.generate.generated import GeneratedPart

ROOT = Path(__file__).parents[2]
KINDS = ["untied", "tied", "checkpoint"]
SECONDS = 20  # for one load; a slower load counts as hung


class Program:
    """The objects to save or to load into: a net and, for a checkpoint, an optimizer."""

    def __init__(self, kind: str, seed: int) -> None:
        for set_seed in (torch.manual_seed, random.seed, np.random.seed):
            set_seed(seed)
        self.kind = kind
        embed, scores = nn.Embedding(32, 32), nn.Linear(32, 32)
        if kind == "tied":
            scores.weight = embed.weight
        self.net = nn.Sequential(
            embed, nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4).bfloat16(), scores
        )
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=0.1 * seed)
        for parameter in self.net.parameters():
            parameter.grad = torch.rand_like(parameter)
        for _ in range(seed if kind == "checkpoint" else 0):
            self.optimizer.step()
        self.chance = torch.get_rng_state(), random.getstate()

    def take_turn(self) -> None:
        """Set the random states of this program, because a program created later has changed them."""
        torch.set_rng_state(self.chance[0])
        random.setstate(self.chance[1])

    def look(self) -> list[Any]:
        """All of its state, bit for bit."""
        named = self.net.state_dict(keep_vars=True)
        places = [tensor.data_ptr() for tensor in named.values()]
        return [
            [places.index(place) for place in places],
            [(type(tensor), tensor.requires_grad, bits(tensor.grad)) for tensor in named.values()],
            [(type(module), module.training) for module in self.net.modules()],
            *map(bits, (named, self.optimizer.state_dict(), torch.get_rng_state(), random.getstate())),
        ]


def bits(value: Any) -> Any:
    """A value that is equal for two values only if they are equal bit for bit."""
    if isinstance(value, Tensor):
        raw = value.detach().contiguous().flatten().view(torch.uint8)
        return value.dtype, value.shape, raw.numpy().tobytes()
    if isinstance(value, dict):
        return [(key, bits(part)) for key, part in value.items()]
    return list(map(bits, value)) if isinstance(value, list) else (type(value), value)


# Three ways to save and load a program; each file is at `path`.


def write_ours(program: Program, path: Path) -> None:
    if program.kind == "checkpoint":
        save_checkpoint(path.parent, 1, net=program.net, optimizer=program.optimizer)
    else:
        save_parameters(program.net, path)


def read_ours(program: Program, path: Path) -> None:
    if program.kind == "checkpoint":
        assert load_checkpoint(path.parent, net=program.net, optimizer=program.optimizer) == 1
    else:
        load_parameters(program.net, path)


def write_torch(program: Program, path: Path) -> None:
    state = program.net.state_dict()
    if program.kind == "checkpoint":
        torch.save({"net": state, "optimizer": program.optimizer.state_dict()}, path)
    else:
        torch.save(state, path)


def read_torch(program: Program, path: Path) -> None:
    state = torch.load(path, weights_only=True)
    if program.kind == "checkpoint":
        program.optimizer.load_state_dict(state["optimizer"])
        state = state["net"]
    program.net.load_state_dict(state)


def write_safetensors(program: Program, path: Path) -> None:
    save_file({name: tensor.clone() for name, tensor in program.net.state_dict().items()}, path)


def read_safetensors(program: Program, path: Path) -> None:
    program.net.load_state_dict(load_file(path))


LIBRARIES: dict[str, tuple[Callable[[Program, Path], None], Callable[[Program, Path], None]]] = {
    "d2lblocks": (write_ours, read_ours),
    "torch.load(weights_only=True)": (write_torch, read_torch),
    "safetensors": (write_safetensors, read_safetensors),
}

# Corruptions.


def attempts(library: str, seed: str, start: str, end: str) -> None:
    """Print the outcomes of some corruptions. This runs in a separate process."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the alarm ends the process, whatever it is doing
    write, read = LIBRARIES[library]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.pt" if write is write_torch else "step-1.safetensors")
        contents, programs, before, after = {}, {}, {}, {}
        for kind in KINDS:
            write(Program(kind, 1), path)
            contents[kind] = path.read_bytes()
            programs[kind] = loaded = Program(kind, 2)
            before[kind] = loaded.look()
            read(loaded, path)
            after[kind] = loaded.look()
            assert before[kind] != after[kind]
            programs[kind] = Program(kind, 2)
        for number in range(int(start), int(end)):
            rng, kind = random.Random(f"{seed} {number}"), KINDS[number % len(KINDS)]
            path.unlink()
            path.write_bytes(corrupted(contents[kind], rng))
            programs[kind].take_turn()
            signal.alarm(SECONDS)
            try:
                read(programs[kind], path)
            except BaseException as error:
                outcomes, name = ("refused", "half"), type(error).__qualname__
            else:
                outcomes, name = ("right", "wrong"), ""
            signal.alarm(0)
            looked = programs[kind].look()
            print(outcomes[looked != (before if name else after)[kind]], name, flush=True)
            if looked != before[kind]:
                programs[kind] = Program(kind, 2)


def tally(library: str, number: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Count the outcomes and the classes of errors. A process that dies is one more outcome."""
    outcomes: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    while (start := outcomes.total()) < number:
        command = [
            sys.executable,
            "-m",
            "tests.package.torture",
            "attempts",
            library,
            str(seed),
            str(start),
            str(number),
        ]
        run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for line in run.stdout.splitlines():
            outcome, *error = line.split()
            outcomes[outcome] += 1
            errors.update(error)
        if run.returncode > 0:
            raise RuntimeError(f"the torture itself failed at corruption {outcomes.total()}")
        if run.returncode < 0:
            outcomes["crashed"] += 1
            errors[signal.Signals(-run.returncode).name] += 1
    return outcomes, errors


def table(number: int = 20_000, seed: int = 0) -> str:
    """The outcomes of each library for the same kinds of damage, as a Markdown table."""
    head = ["read by", "refused", "as saved", "wrong values", "refused, yet changed", "crashed or hung"]
    lines = [f"| {' | '.join([*head, 'kinds of errors'])} |", "|---|--:|--:|--:|--:|--:|--:|"]
    for library in LIBRARIES:
        outcomes, errors = tally(library, number, seed)
        counts = [f"{outcomes[name]:,}" for name in ("refused", "right", "wrong", "half", "crashed")]
        lines.append(f"| {' | '.join([f'`{library}`', *counts, str(len(errors))])} |")
    return "\n".join(lines)


# Writers that are killed, and readers that do not wait.


class Number(nn.Module):
    """A megabyte of one number, so that a mixture of an old and a new file would be noticed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.register_buffer("x", torch.full((250_000,), number, dtype=torch.int32))

    def value(self) -> int:
        assert (self.x == self.x[0]).all(), "half old and half new"
        return int(self.x[0])


def save_file_number(folder: Path, number: int) -> None:
    save_parameters(Number(number), folder / "x")


def load_file_number(folder: Path) -> int:
    return load_parameters(Number(-1), folder / "x").value()


def save_step(folder: Path, number: int) -> None:
    save_checkpoint(folder, number, keep=2, loss=1 / (number + 1), net=Number(number))


def load_step(folder: Path) -> int:
    net = Number(-1)
    step = load_checkpoint(folder, net=net)
    assert step == net.value(), f"step {step} holds {net.value()}"
    return step


WAYS = [(save_file_number, load_file_number), (save_step, load_step)]


def kill(number: int = 300, seed: int = 0) -> str:
    """Kill writers at random moments; raise an AssertionError if anything is lost or left behind."""
    rng, found = random.Random(seed), 0
    torch.set_num_threads(1)  # a forked process has no other threads
    last = mmap.mmap(-1, 16)  # the number that is being saved, and the last one that is known to be saved
    for save, load in WAYS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            save(folder, 0)
            for _ in range(number // len(WAYS)):
                there = load(folder)
                last[:] = there.to_bytes(8, "little") * 2
                writer = os.fork()
                if writer == 0:
                    for new in itertools.count(there + 1):
                        last[:8] = new.to_bytes(8, "little")
                        save(folder, new)
                        last[8:] = new.to_bytes(8, "little")
                time.sleep(rng.uniform(0, 0.05))
                os.kill(writer, signal.SIGKILL)
                os.waitpid(writer, 0)
                found += bool(list(folder.glob(".d2lblocks-*")))
                begun, done = (int.from_bytes(last[at : at + 8], "little") for at in (0, 8))
                there = load(folder)
                assert done <= there <= begun, f"{done} was saved, {begun} begun, and {there} is there"
                save(folder, there + 1)
                left = [path.name for path in folder.iterdir()]
                wanted = (
                    {"x"} if save is save_file_number else {f"step-{there + n}.safetensors" for n in (0, 1)}
                )
                assert wanted >= set(left), f"left: {left}"
    return f"{number} writers killed, {found} of them in the middle of a file: nothing lost, nothing left"


def two_at_once(number: int = 1000) -> str:
    """Let two processes save at once; raise an AssertionError if one fails, or leaves or damages a file."""
    torch.set_num_threads(1)
    for save, load in WAYS:
        with tempfile.TemporaryDirectory() as name:
            folder, writers = Path(name), [os.fork(), 0]
            writers[1] = os.fork() if writers[0] else 0
            if 0 in writers:
                for new in range(number // len(WAYS)):
                    save(folder, new)
                os._exit(0)
            statuses = [os.waitpid(writer, 0)[1] for writer in writers]
            assert statuses == [0, 0], f"writers ended with {statuses}"
            assert load(folder) == number // len(WAYS) - 1
            assert len(list(folder.iterdir())) == 1 + (save is save_step), os.listdir(folder)
    return f"{number} saves by each of two processes at once: nobody failed, nothing left"


def load_while_saving(number: int = 1000) -> str:
    """Load while another thread saves; raise an AssertionError if a file is incomplete or out of order."""
    warnings.simplefilter("error")
    seen: set[int] = set()
    for save, load in WAYS:
        with tempfile.TemporaryDirectory() as name:
            folder, done = Path(name), threading.Event()
            save(folder, 0)

            def write(save: Any = save, folder: Path = folder, done: threading.Event = done) -> None:
                for new in itertools.count(1):
                    if done.is_set():
                        break
                    save(folder, new)

            writer = threading.Thread(target=write)
            writer.start()
            try:
                newest = 0
                for _ in range(number // len(WAYS)):
                    there = load(folder)
                    assert there >= newest, f"{there} after {newest}"
                    newest = there
                    seen.add(newest)
            finally:
                done.set()
                writer.join()
    return f"{number} loads while another thread saved: {len(seen)} versions seen, all whole"


if __name__ == "__main__":
    tortures = {"kill": kill, "two": two_at_once, "load": load_while_saving}
    match sys.argv[1:]:
        case []:
            lines = table().split("\n")
            lines += ["", *(f"- {torture()}." for torture in tortures.values())]
            print("\n".join(lines))
            page, name = "docs/en/serialization.md", "table of damaged files"
            part = GeneratedPart(ROOT, page, name, lines, "make torture")
            print(part.show())
        case ["attempts", *arguments]:
            attempts(*arguments)
        case [name, *arguments] if name in tortures:
            print(tortures[name](*map(int, arguments)))
        case arguments:
            print(table(*map(int, arguments)))
