"""Values that depend on the name."""

import builtins
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "init.md#reproducibility"
TASK = """
A colleague adds a layer at the front of the net, and all your seeded results change.
Write `init_by_name(net, seed)`, which fills parameters with two or more dimensions with `kaiming_normal_` and all others with 0, and returns the net.
The random values depend only on the seed and on the name of the parameter: another seed or name gives other values, and another run of Python gives the same values.
Leave PyTorch's default generator as it was.
"""
STUB = """\
import torch
from torch import nn


def init_by_name(net, seed): ...
"""
SOLUTION = """\
import zlib

import torch
from torch import nn


def init_by_name(net, seed):
    for name, parameter in net.named_parameters():
        own_seed = zlib.crc32(f"{seed}:{name}".encode())
        generator = torch.Generator().manual_seed(own_seed)
        if parameter.dim() >= 2:
            nn.init.kaiming_normal_(parameter, generator=generator)
        else:
            nn.init.zeros_(parameter)
    return net
"""
HINTS = (
    "If all parameters draw from one generator, what do the values of the last one depend on?",
    "Read init.md#reproducibility: each function of `torch.nn.init` that draws takes a `generator`. Make one for each parameter.",
    "`zlib.crc32(text.encode())` turns a text into a whole number, the same one in every process; make the text from the seed and the name.",
)
AFTER = """
The values of a parameter are drawn from a seed of its own, so nothing that is drawn for another one matters.
A seed from `zlib.crc32` or from the first bytes of `hashlib.sha256` is the same in each process; one from Python's `hash` of a string is not.
"""


def check(answer: Answer) -> None:
    """The values of each parameter are those of its name and seed, whatever surrounds it."""
    init = answer.function("init_by_name")
    used: list[Any] = []

    def filled(seed: int, **layers: nn.Module) -> dict[str, torch.Tensor]:
        net = nn.ModuleDict(layers)
        text = ", ".join(layers) if len(layers) < 4 else f"{next(iter(layers))}, ... {list(layers)[-1]}"
        answer.given = f"seed={seed} and a net with the layer{'s' * (len(layers) > 1)} {text}"
        before = torch.get_rng_state()
        values = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
        with _recorded(answer.file, used):
            came = answer.module(_call(init, net, seed), "init_by_name(net, seed)")
        if came is not net:
            raise Wrong(
                "`init_by_name` returns another net: fill the one that it gets.",
                came="another net",
                expected="the same net",
            )
        if used:
            raise Wrong(
                "Python's `hash` of a string is different in each process, so the next run draws other values.",
                came=f"hash({used[0]!r})",
                expected="the same number in every process, as from zlib.crc32",
            )
        if not torch.equal(torch.get_rng_state(), before):
            raise Wrong(
                "PyTorch's default generator is not as it was: draw from a generator of your own.",
                came="another state",
                expected="the same state",
            )
        for name, parameter in net.named_parameters():
            if torch.equal(parameter, values[name]) and (parameter.dim() > 1 or parameter.any()):
                why = f"`{name}` keeps the values that it had: fill every parameter."
                raise Wrong(why, came="the old values", expected="new values")
        return {name: parameter.detach() for name, parameter in net.named_parameters()}

    short = filled(0, out=nn.Linear(64, 32))
    _check_values(short["out.weight"], short["out.bias"], 64)
    torch.manual_seed(5)
    if not _equal(short, filled(0, out=nn.Linear(64, 32))):
        raise Wrong(
            "The same seed and the same name give other values the second time.",
            came="other values",
            expected="the same values",
        )
    long = filled(0, new=nn.Linear(64, 64), out=nn.Linear(64, 32))
    if not torch.equal(long["out.weight"], short["out.weight"]):
        raise Wrong(
            "A new layer at the front changes the values of `out.weight`: they depend on what comes before it, not on its name.",
            came="other values",
            expected="the values without the new layer",
        )
    letters = "abcdefghij"
    hundred = [one + other for one in letters for other in letters]
    for names in ("a", "b"), ("a1", "a10"), hundred:
        made = filled(0, **{name: nn.Linear(2, 2) for name in names}, rnn=nn.RNN(2, 2))
        seen: dict[tuple[float, ...], str] = {}
        for name, values in made.items():
            if values.dim() < 2:
                continue
            first = seen.setdefault(tuple(values.flatten().tolist()), name)
            if first != name:
                raise Wrong(
                    f"`{first}` and `{name}` get the same values: make the seed of a generator from `seed` and the whole name. "
                    "On the CPU, a generator uses only the lowest 32 bits of its seed.",
                    came="equal values",
                    expected="other values",
                )
    if torch.equal(filled(1, out=nn.Linear(64, 32))["out.weight"], short["out.weight"]):
        raise Wrong("The seeds 0 and 1 give the same values.", came="equal values", expected="other values")
    images = filled(3, first=nn.Conv2d(8, 64, 5), norm=nn.BatchNorm2d(64).requires_grad_(False))
    _check_values(images["first.weight"], images["norm.weight"], 8 * 25)


def _call(init: Callable[..., Any], net: nn.Module, seed: int) -> Any:
    """Call the function, with words for seeds that are none."""
    try:
        return init(net, seed)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        message = str(error)
        if "expected a long" in message:
            why = "`manual_seed` takes a whole number: make one from the seed and the name, the same in each process."
        elif "Fan in and fan out" in message:
            why = (
                "`kaiming_normal_` gets a parameter with one dimension. The weight of a normalization layer is one, so "
                "the name does not tell: check `dim()`."
            )
        elif "Overflow" in message or "too large" in message:
            why = "The number is too large for `manual_seed`, which takes 64 bits: use a part of it."
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {message}") from error


def _check_values(weight: torch.Tensor, zeros: torch.Tensor, fan_in: int) -> None:
    if zeros.any():
        raise Wrong(
            "A parameter with one dimension is not 0.",
            came=f"values up to {zeros.abs().max():.3f}",
            expected="zeros",
        )
    std = (2 / fan_in) ** 0.5
    if not weight.any():
        raise Wrong(
            f"The weight of shape {tuple(weight.shape)} is 0, but it has two or more dimensions: {weight.dim()}.",
            came="zeros",
            expected=f"standard deviation {std:.3f}",
        )
    if weight.abs().max() < 2.5 * std and abs(weight.std().item() / std - 1) < 0.08:
        raise Wrong(
            f"The weight of shape {tuple(weight.shape)} has the right scale but is not drawn from a normal distribution.",
            came=f"values up to {weight.abs().max():.3f}",
            expected=f"a few values beyond {2.5 * std:.3f}",
        )
    if abs(weight.std().item() / std - 1) > 0.08:
        raise Wrong(
            f"The weight of shape {tuple(weight.shape)} does not have the values of `kaiming_normal_`.",
            came=f"standard deviation {weight.std():.3f}",
            expected=f"{std:.3f}",
        )


def _equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@contextmanager
def _recorded(file: str, used: list[Any]) -> Iterator[None]:
    """Record the strings whose `hash` the file asks for."""
    original: Callable[[Any], int] = builtins.hash

    def recorded(value: Any) -> int:
        if sys._getframe(1).f_code.co_filename == file and not isinstance(value, int):
            used.append(value)
        return original(value)

    builtins.hash = recorded
    try:
        yield
    finally:
        builtins.hash = original


WRONG = (
    WrongAnswer(
        "different in each process",
        changes={'zlib.crc32(f"{seed}:{name}".encode())': "hash((seed, name)) % 2**32"},
    ),
    WrongAnswer(
        "default generator is not as it was",
        changes={"torch.Generator().manual_seed(own_seed)": "torch.manual_seed(own_seed)"},
    ),
    WrongAnswer(
        "depend on what comes before it",
        changes={
            "    for name": "    generator = torch.Generator().manual_seed(seed)\n    for name",
            '        own_seed = zlib.crc32(f"{seed}:{name}".encode())\n': "",
            "        generator = torch.Generator().manual_seed(own_seed)\n": "",
        },
    ),
    WrongAnswer("and `b.weight` get the same", changes={'f"{seed}:{name}".encode()': "bytes(seed)"}),
    WrongAnswer(
        "and `ba.weight` get the same",
        changes={'zlib.crc32(f"{seed}:{name}".encode())': "seed + sum(name.encode())"},
    ),
    WrongAnswer(
        "and `rnn.weight_hh_l0` get the same", changes={"{seed}:{name}": "{seed}:{name.rpartition('.')[0]}"}
    ),
    WrongAnswer("seeds 0 and 1", changes={"{seed}:": ""}),
    WrongAnswer("the name does not tell", changes={"parameter.dim() >= 2": '"weight" in name'}),
    WrongAnswer("it has two or more dimensions", changes={"dim() >= 2": "dim() == 2"}),
    WrongAnswer("give other values the second time", changes={"{seed}:": "{seed}:{torch.initial_seed()}:"}),
    WrongAnswer("keeps the values that it had", changes={"nn.init.zeros_(parameter)": "pass"}),
    WrongAnswer("A parameter with one dimension", changes={"zeros_": "ones_"}),
    WrongAnswer(
        "takes a whole number", changes={'zlib.crc32(f"{seed}:{name}".encode())': 'f"{seed}:{name}"'}
    ),
)
