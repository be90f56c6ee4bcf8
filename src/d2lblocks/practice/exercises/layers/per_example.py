"""A gradient for each example."""

from typing import Any

import torch
from torch import nn

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "hard"
PAGE = "layers.md#check-the-gradients-gradcheck"
TASK = """
Write `per_example(layer, X)`, which computes a separate gradient for each example of a batch `X` of shape `(n, features)`, without a loop.
The loss of one example `x` is `layer(x).square().sum()`.
It returns a dictionary that maps the name of each parameter to its n gradients, a tensor of shape `(n, *parameter.shape)`.
It does not change the layer, and it leaves the `.grad` of its parameters alone.
"""
STUB = """\
from torch.func import functional_call, grad, vmap


def per_example(layer, X): ...
"""
SOLUTION = """\
from torch.func import functional_call, grad, vmap


def per_example(layer, X):
    parameters = {
        name: parameter.detach() for name, parameter in layer.named_parameters()
    }

    def loss(parameters, x):
        return functional_call(layer, parameters, (x,)).square().sum()

    return vmap(grad(loss), in_dims=(None, 0))(parameters, X)
"""
HINTS = (
    "How do you write the loss of one example as a function of the parameters and of this example?",
    "Read layers.md#check-the-gradients-gradcheck for `functional_call`; `torch.func.grad` turns a function into one that computes its gradient, and `torch.func.vmap` turns a function of one example into one of a batch.",
    "Define `loss(parameters, x)` with `functional_call(layer, parameters, (x,))`, and return `vmap(grad(loss), in_dims=(None, 0))(parameters, X)`.",
)
AFTER = """
`grad` computes the gradient for one example, and `vmap` does it for all at once: `in_dims=(None, 0)` says that every example gets the same parameters, and that the examples are in dimension 0 of `X`.
`torch.autograd.grad` with `is_grads_batched=True` gets the same from the losses of all examples.
"""


def check(answer: Answer) -> None:
    """The gradients are those of a loop; the layer runs equally often for each number of examples."""
    function = answer.function("per_example")
    deep = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2, bias=False))
    used: list[tuple[int, int]] = []
    for words, layer, shape in (
        ("nn.Linear(2, 1)", nn.Linear(2, 1), (2, 2)),
        ("nn.Linear(2, 1)", nn.Linear(2, 1), (5, 2)),
        ("a net of three layers", deep, (3, 4)),
    ):
        X = torch.rand(shape)
        answer.given = f"{words} and X of shape {shape}"
        expected = reference(layer, X)
        counts = Counts(layer)
        values = {name: each.clone() for name, each in layer.state_dict().items()}
        came = call(answer, function, layer, X)
        used.append((counts.calls, counts.gradients))
        counts.remove()
        for name, parameter in layer.named_parameters():
            if parameter.grad is not None:
                raise Wrong(
                    "The gradients are in `.grad` of the parameters now, where the next step of an optimizer would "
                    "use them: `backward` adds to `.grad`, but `torch.func.grad` returns them.",
                    came=parameter.grad,
                    expected=f"{name}.grad is None",
                )
            if not torch.equal(parameter, values[name]):
                raise Wrong(f"The function changes the parameter `{name}`.")
            if not parameter.requires_grad:
                raise Wrong(f"The function freezes the parameter `{name}`: `requires_grad` is `False` now.")
        compare(answer, came, expected, len(X))
    if used[0] != used[1]:
        answer.given = "nn.Linear(2, 1) and X of shape (5, 2)"
        raise Wrong(
            "The gradients are right, but the function computes them one after the other: `vmap` calls the layer "
            "once for all examples.",
            came=f"{max(used[1])} passes for 5 examples",
            expected="as many as for 2 examples",
        )


def call(answer: Answer, function: Any, layer: nn.Module, X: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the function returns; raise `Wrong` if that is no dictionary of tensors with the names."""
    try:
        came = function(layer, X)
    except ValueError as error:
        if "vmap" not in str(error):
            raise
        raise Wrong(
            "`vmap` splits every argument along dimension 0, the parameters too. `in_dims` gives the dimension for each argument; `None` means that it is not split.",
            came=f"ValueError: {str(error).splitlines()[0]}",
            expected="in_dims=(None, 0) for the parameters and X",
        ) from error
    if isinstance(came, torch.Tensor) and came.shape == X.shape:
        raise Wrong(
            "These are the gradients with respect to `X`. `grad` differentiates with respect to the first argument, so this has to be the parameters.",
            came=came,
            expected="a dictionary",
        )
    found: dict[str, torch.Tensor] = answer.kind(came, "per_example(layer, X)", dict, "a dictionary")
    names = [name for name, _ in layer.named_parameters()]
    if sorted(map(str, found)) != sorted(names):
        raise Wrong("The keys have to be the names of the parameters.", came=list(found), expected=names)
    return found


def compare(answer: Answer, came: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], n: int) -> None:
    """Raise `Wrong` unless the gradients are those of the loop."""
    for name, gradients in expected.items():
        found = answer.tensor(came[name], f'per_example(layer, X)["{name}"]')
        if found.shape == gradients.shape[1:]:
            why = "This is one gradient for the whole batch, the sum over the examples: `vmap` keeps them apart."
        elif found.shape == gradients.shape and torch.allclose(found, gradients / n, atol=1e-6):
            why = "The gradients are divided by n: each example has a loss of its own, without a mean over the batch."
        elif found.shape == gradients.shape and not found.any():
            why = "All gradients are 0: the loss has to compute with the parameters that it gets, as `functional_call` does."
        elif found.shape == gradients.shape and all(torch.equal(each, found[0]) for each in found):
            why = "All examples have the same gradient: the loss of one example has to use this example only."
        else:
            why = ""
        answer.same(found, gradients, f'per_example(layer, X)["{name}"]', why)


class Counts:
    """Counts the calls of a layer, and the gradients of its parameters."""

    def __init__(self, layer: nn.Module) -> None:
        self.calls = self.gradients = 0
        self.handles = [layer.register_forward_pre_hook(self.call)]
        weight: Any = next(layer.parameters())
        self.handles += [weight.register_hook(self.gradient)]

    def call(self, *_: Any) -> None:
        self.calls += 1

    def gradient(self, _: torch.Tensor) -> None:
        self.gradients += 1

    def remove(self) -> None:
        for each in self.handles:
            each.remove()


def reference(layer: nn.Module, X: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gradients of each example, computed one after the other."""
    names = [name for name, _ in layer.named_parameters()]
    rows = []
    for x in X:
        y = layer(x)
        rows.append(torch.autograd.grad(y @ y, list(layer.parameters())))
    return {name: torch.stack(each) for name, each in zip(names, zip(*rows, strict=True), strict=True)}


WRONG = (
    WrongAnswer("for the whole batch", changes={"vmap(grad(loss), in_dims=(None, 0))": "grad(loss)"}),
    WrongAnswer("splits every argument", changes={", in_dims=(None, 0)": ""}),
    WrongAnswer("with respect to `X`", changes={"grad(loss)": "grad(loss, argnums=1)"}),
    WrongAnswer(
        "one after the other",
        code="""\
import torch
from torch.func import functional_call, grad


def per_example(layer, X):
    parameters = {
        name: parameter.detach() for name, parameter in layer.named_parameters()
    }

    def loss(parameters, x):
        return functional_call(layer, parameters, (x,)).square().sum()

    each = [grad(loss)(parameters, x) for x in X]
    return {name: torch.stack([one[name] for one in each]) for name in parameters}
""",
    ),
    WrongAnswer(
        "in `.grad` of the parameters",
        code="""\
import torch


def per_example(layer, X):
    each = []
    for x in X:
        layer.zero_grad()
        layer(x).square().sum().backward()
        each.append({name: p.grad for name, p in layer.named_parameters()})
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}
""",
    ),
    WrongAnswer(
        "divided by n",
        changes={
            "vmap(grad(loss), in_dims=(None, 0))(parameters, X)": "{\n        name: each / len(X)\n        for name, each in vmap(grad(loss), in_dims=(None, 0))(parameters, X).items()\n    }"
        },
    ),
)
