"""A loop as one multiplication."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from d2lblocks.modules import FixedHiddenMLP

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer
from ._nets import times

LEVEL = "hard"
PAGE = "modules.md#constants-reused-layers-and-loops-in-forward"
TASK = """
`FixedHiddenMLP` cannot be compiled as a whole, because a loop halves `Y` until the sum of the absolute values is at most 1.
Write `NoLoop`, whose `forward` does without the loop: it multiplies or divides by a single power of two instead.
The result and the gradients are the same as with the loop, for sums of up to 1e30.
Note that the loop does not halve a sum of exactly 1.
`forward` does not read the value of a tensor in Python, as `while`, `if` and `.item()` do.
Use `mantissa, exponent = torch.frexp(total)`: here `total` is equal to `mantissa * 2**exponent`, and the mantissa of a positive number is at least 0.5 and less than 1.
The exponent tells you how many times to halve.
"""
STUB = """\
import torch
from torch.nn import functional as F

from d2lblocks import FixedHiddenMLP


class NoLoop(FixedHiddenMLP):
    def forward(self, X):
        Y = self.linear(F.relu(self.linear(X) @ self.rand_weight + 1))
        while Y.abs().sum() > 1:
            Y = Y / 2
        return Y.sum()
"""
SOLUTION = """\
import torch
from torch.nn import functional as F

from d2lblocks import FixedHiddenMLP


class NoLoop(FixedHiddenMLP):
    def forward(self, X):
        Y = self.linear(F.relu(self.linear(X) @ self.rand_weight + 1))
        mantissa, exponent = torch.frexp(Y.detach().abs().sum())
        halvings = (exponent - (mantissa == 0.5).int()).clamp(min=0)
        return (Y * torch.ldexp(torch.ones_like(mantissa), -halvings)).sum()
"""
HINTS = (
    "What are mantissa and exponent of a sum of 6, of 1 and of 0.2, and how many times does the loop halve each?",
    "Read modules.md#constants-reused-layers-and-loops-in-forward: the loop ends when the sum is at most 1, so a sum of exactly 1 is not halved.",
    "The exponent is the number of halvings, less one if the mantissa is 0.5, and at least 0; multiply `Y` by two to the power of minus this number.",
)
AFTER = """
The exponent of the sum is the number of halvings, except for a power of two and for a sum of at most 1.
To multiply or divide by a power of two is exact, so one operation gives the same number as the halvings.
Ways to write the factor: `torch.exp2(-halvings)`, `0.5**halvings`, and `torch.ldexp` of a tensor of ones; `torch.ldexp(Y, -halvings)` itself has a gradient of zero in PyTorch 2.13.
"""
READS = {
    "__bool__": "bool() on a tensor, as by `while` or `if`",
    "__float__": "float() on a tensor",
    "__int__": "int() on a tensor",
    "__index__": "range() or an index with a tensor",
    "item": "`.item()`",
    "tolist": "`.tolist()`",
    "numpy": "`.numpy()`",
}
OPERATIONS = 60  # of a forward pass; a loop that is written out needs more than a hundred


class _Observer(torch.overrides.TorchFunctionMode):
    """Counts the operations of PyTorch, and notes when Python reads a value."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.read = ""
        self.names: set[str] = set()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        name = getattr(function, "__name__", "")
        self.names.add(name)
        if name in READS:
            self.read = READS[name]
        return function(*args, **(kwargs or {}))


def check(answer: Answer) -> None:
    """Sums below 1, powers of two, the numbers next to them, and random nets, against the block with the loop."""
    make = answer.module_class("NoLoop")
    _reads_nothing(answer, make)
    _same_before(answer, make)
    for total in (4.5, 0.3, 1.0, 2.0, 8.0, 1e20, 1e30, 2.0**-3, -3.0):
        _compare(answer, make, *_net(total), f"before any halving, Y is [[{total:g}]]", total)
    for power in 0, 1, 24:
        total = float(torch.nextafter(torch.tensor(2.0**power), torch.tensor(math.inf)))
        given = f"before any halving, Y is [[y]], and y is the next number after 2**{power}"
        _compare(answer, make, *_net(total), given, total)
    _compare(answer, make, *_net(5.0, 4.0), "before any halving, Y is [[5, 4]]", 9.0)
    _compare(answer, make, *_net(5.0, -4.0), "before any halving, Y is [[5, -4]]", -9.0)
    for dtype in torch.float32, torch.float64:
        given = f"before any halving, Y is [[3], [3]], with dtype={dtype}"
        _compare(answer, make, _net(3.0)[0].to(dtype), torch.rand(2, 1, dtype=dtype), given, 6.0)
    for size, shape in ((3, (2, 3)), (20, (4, 20)), (20, (2, 3, 20))):
        looped, X = FixedHiddenMLP(size), torch.randn(shape)
        _compare(answer, make, looped, X, f"NoLoop({size}), X of shape {shape}", float("nan"))


def _net(*values: float) -> tuple[FixedHiddenMLP, Tensor]:
    """A net and an input for which these are the values to be halved."""
    looped = FixedHiddenMLP(len(values))
    nn.init.zeros_(looped.linear.weight)
    with torch.no_grad():
        looped.linear.bias.copy_(torch.tensor(values))
    return looped, torch.rand(1, len(values))


def _reads_nothing(answer: Answer, make: Any) -> None:
    """Refuse a loop that asks for a value in each round."""
    answer.given = "NoLoop(3), X of shape (2, 3)"
    net = answer.module(make(3), "NoLoop(3)")
    with _Observer() as observer:
        answer.tensor(net(torch.rand(2, 3)), "net(X)")
    if observer.read:
        raise Wrong(
            "Python still reads a value of a tensor: a loop, an `if` or `.item()` waits for the sum.",
            came=f"a call of {observer.read}",
            expected="a tensor that is computed from tensors",
        )


def _same_before(answer: Answer, make: Any) -> None:
    """Where nothing is halved, refuse another `Y`; a power of two is a mistake in the halvings, which comes later."""
    looped, X = FixedHiddenMLP(3), torch.rand(2, 3)
    with torch.no_grad():
        for parameter in looped.linear.parameters():
            parameter.mul_(0.05)
        looped.rand_weight.normal_(std=100)  # so that the ReLU has negative inputs, too
    answer.given = "NoLoop(3) with small weights, so that the loop halves nothing, X of shape (2, 3)"
    net = make(3)
    net.load_state_dict(looped.state_dict())
    came, expected = net(X).detach(), looped(X).detach()
    if came.dim() or not came:
        return
    ratio = (came / expected).item()
    if ratio < 0 or abs(math.log2(ratio) - round(math.log2(ratio))) > 1e-4:
        why = (
            "Already before any halving, `Y` is not that of `FixedHiddenMLP`: keep the line that computes it."
        )
        if abs(ratio * X.numel() - 1) < 1e-4:
            why = "This is the mean of `Y`, not its sum."
        raise Wrong(why, came=came, expected=expected)


def _compare(answer: Answer, make: Any, looped: FixedHiddenMLP, X: Tensor, given: str, total: float) -> None:
    answer.given = given
    net = make(looped.linear.in_features)
    net.load_state_dict(looped.state_dict())
    net.to(X.dtype)
    expected = looped(X)
    with _Observer() as observer:
        came = answer.tensor(net(X), "net(X)")
    why = _story(came, expected, total, X.flatten(end_dim=-2), looped) if came.dtype == expected.dtype else ""
    answer.same(came, expected, "net(X)", why)
    if observer.calls > OPERATIONS:
        raise Wrong(
            "The halvings are written out one by one: one multiplication by a power of two is enough.",
            came=f"{observer.calls} operations",
            expected=f"at most {OPERATIONS}",
        )
    torch.autograd.backward(expected)
    if not came.requires_grad:
        raise Wrong(
            "The result has no gradient: compute only the factor without gradients, not `Y`.",
            came="requires_grad False",
        )
    torch.autograd.backward(came)
    for name, parameter in looped.named_parameters():
        gradient = net.get_parameter(name).grad
        why = "The number is right, but the gradient is not: the factor has to be a constant, so detach the sum."
        lost = gradient is None or not gradient.any()
        if lost and parameter.grad is not None and parameter.grad.any() and "ldexp" in observer.names:
            why = (
                "The number is right, but its gradient is zero. In PyTorch 2.13, `torch.ldexp` loses the gradient of "
                "its first argument: apply it to a tensor of ones, and multiply `Y` by the result."
            )
        answer.same(gradient, parameter.grad, f"net.{name}.grad", why)


def _story(came: Tensor, expected: Tensor, total: float, rows: Tensor, looped: FixedHiddenMLP) -> str:
    """What the wrong number probably comes from."""
    if came.dim():
        return "The result has to be one number: sum up `Y` at the end."
    if len(rows) > 1 and torch.allclose(came, torch.stack([looped(row) for row in rows]).sum()):
        return "Each row of `Y` is halved on its own: the loop compares the sum of all values of `Y` with 1."
    ratio = abs(float(came.detach() / expected.detach()))
    power = math.frexp(total)[0] in (0.5, -0.5)
    if float(came.detach()) == -float(expected.detach()):
        return "The sign is lost: the absolute values are only for the sum that is compared with 1."
    if total < 0:
        return "Some values are negative: the loop ends when the sum of the absolute values, `Y.abs().sum()`, is at most 1."
    if abs(total) < 1 and ratio > 1:
        return "A sum of at most 1 must not be halved or doubled: the number of halvings is at least 0."
    if power and ratio < 1:
        return (
            "The sum is a power of two, and it is halved too often: the loop ends when the sum is exactly 1."
        )
    value = float(came.detach())
    if total > 1 and not value:
        return (
            "The factor is 0: with a tensor of integers as exponent, `2 ** exponent` is an integer too, and there is "
            "none for a negative exponent. `2.0 ** exponent` is not an integer."
        )
    if total > 1e6 and not math.isfinite(value):
        return (
            "A small sum is right, and a large one is not: with a tensor of integers as exponent, `2 ** exponent` is an "
            "integer too, and a large power of two does not fit into it. `2.0 ** exponent` is not an integer."
        )
    if total > 1 and value > total:
        return (
            "The value grows, and halving makes it smaller: look at the sign of the exponent of the factor."
        )
    if total > 1 and ratio > 1 and math.log2(total) % 1 > 0.1 and value > 1:
        return "The value is halved too few times: the sum of the absolute values has to be at most 1."
    if total > 1 and ratio == 2.0 and not power:
        return (
            "One more halving is needed. If you use `torch.log2`: it rounds the logarithm of a number close to a power "
            "of two, and `torch.frexp` does not round."
        )
    if total > 1 and ratio > 1 and abs(value) == 1:
        return "The values are divided by their sum: halve them until the sum is at most 1."
    if total >= 0:
        halvings = max(0, math.ceil(math.log2(total)))
        often = "too often" if ratio < 1 and math.log2(ratio) % 1 == 0 else "the wrong number of times"
        right = f"halves it {times(halvings)}" if halvings else "does not halve it"
        return f"`Y` is halved {often}: the loop {right}."
    return ""


WRONG = (
    WrongAnswer(
        "does not fit into it",
        changes={"Y * torch.ldexp(torch.ones_like(mantissa), -halvings)": "Y / 2**halvings"},
    ),
    WrongAnswer(
        "Python still reads a value",
        changes={
            "clamp(min=0)": "clamp(min=0).item()",
            "torch.ldexp(torch.ones_like(mantissa), -halvings)": "2.0**-halvings",
        },
    ),
    WrongAnswer("halved too often", changes={"(exponent - (mantissa == 0.5).int())": "exponent"}),
    WrongAnswer("at least 0", changes={".clamp(min=0)": ""}),
    WrongAnswer("Each row of `Y`", changes={".abs().sum()": ".abs().sum(dim=-1, keepdim=True)"}),
    WrongAnswer(
        "so detach the sum",
        changes={
            "mantissa, exponent = torch.frexp(Y.detach().abs().sum())": "total = Y.abs().sum()\n"
            "        mantissa, exponent = torch.frexp(total)",
            "Y * torch.ldexp(torch.ones_like(mantissa), -halvings)": "Y * torch.where(halvings > 0, mantissa / total * "
            "torch.where(mantissa == 0.5, 2, 1), 1)",
        },
    ),
    WrongAnswer("sum of the absolute values", changes={".abs()": ""}),
    WrongAnswer("Already before any halving", changes={" + 1)": ")"}),
    WrongAnswer("the mean of `Y`, not its sum", changes={"-halvings)).sum()": "-halvings)).mean()"}),
    WrongAnswer(
        "gradient is zero",
        changes={"(Y * torch.ldexp(torch.ones_like(mantissa), -halvings))": "torch.ldexp(Y, -halvings)"},
    ),
    WrongAnswer(
        "One more halving is needed",
        changes={
            "mantissa, exponent = torch.frexp(Y.detach().abs().sum())": "total = Y.detach().abs().sum()",
            "(exponent - (mantissa == 0.5).int()).clamp": "torch.ceil(torch.log2(total)).clamp",
            "torch.ldexp(torch.ones_like(mantissa), -halvings)": "torch.exp2(-halvings)",
        },
    ),
)
