"""A gradient for each example."""

from collections.abc import Callable
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
The function returns a dict that maps the name of each parameter to its n gradients, a tensor of shape `(n, *parameter.shape)`.
It changes neither the layer nor the `.grad` of its parameters.
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
In `vmap(grad(loss), in_dims=(None, 0))`, `grad` computes the gradient for one example, and `vmap` does it for all at once: every example gets the same parameters, and the examples are in dimension 0 of `X`.
Other ways: `torch.func.jacrev`, or `torch.autograd.grad` with `is_grads_batched=True`, from the losses of all examples.
"""


def check(answer: Answer) -> None:
    """The gradients are those of a loop; the layer runs equally often for each number of examples."""
    function = answer.function("per_example")
    deep = nn.Sequential(nn.Linear(4, 3), _Scale(3), nn.Linear(3, 2, bias=False))
    used: list[tuple[int, int]] = []
    for words, layer, shape in (
        ("nn.Linear(2, 2)", nn.Linear(2, 2), (3, 2)),
        ("nn.Linear(2, 2)", nn.Linear(2, 2), (5, 2)),
        ("a net of three layers, the second with a buffer,", deep, (3, 4)),
    ):
        X = torch.rand(shape)
        answer.given = f"{words} and X of shape {shape}"
        expected = reference(layer, X, lambda y: y @ y)
        counts = Counts(layer)
        layer.train(layer is not deep)
        grads = {name: each.clone() for name, each in layer.named_parameters() if layer is deep}
        for name, parameter in layer.named_parameters():
            parameter.grad = grads[name].detach().clone() if grads else None
        values = {name: each.clone() for name, each in layer.state_dict().items()}
        came = call(answer, function, layer, X, counts)
        used.append((counts.calls, counts.gradients))
        counts.remove()
        if any(each.training == (layer is deep) for each in layer.modules()):
            raise Wrong(
                "The function changes the mode of the layer: leave out `eval()` and `train()`.",
                came=f"layer.training is {layer is deep}",
                expected=str(layer is not deep),
            )
        for name, value in layer.state_dict().items():
            if not torch.equal(value, values[name]):
                raise Wrong(
                    f"The function changes the values of `{name}`.",
                    came="other values",
                    expected="the old values",
                )
        for name, parameter in layer.named_parameters():
            if parameter.grad is None and grads:
                raise Wrong(
                    "The function removes the `.grad` of the parameters, which the next step of an optimizer may "
                    "need: leave out `zero_grad()`.",
                    came=f"{name}.grad is None",
                    expected="the old values",
                )
            if parameter.grad is not None and not (grads and torch.equal(parameter.grad, grads[name])):
                raise Wrong(
                    "The gradients are in `.grad` of the parameters now, where the next step of an optimizer would "
                    "use them: `backward` adds to `.grad`, but `torch.func.grad` returns them.",
                    came=parameter.grad,
                    expected="the old values" if grads else f"{name}.grad is None",
                )
            if not parameter.requires_grad:
                raise Wrong(
                    f"The function freezes the parameter `{name}`.",
                    came=f"{name}.requires_grad is False",
                    expected="True",
                )
        compare(answer, came, expected, layer, X)
    if used[0] != used[1]:
        answer.given = "nn.Linear(2, 2) and X of shape (5, 2)"
        raise Wrong(
            "The gradients are right, but the function computes them one after the other: `vmap` calls the layer "
            "once for all examples.",
            came=f"{max(used[1])} passes for 5 examples",
            expected="as many as for 3 examples",
        )


class _Scale(nn.Module):
    """Has a buffer."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Buffer(torch.rand(size) + 0.5)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.scale * X)


def call(
    answer: Answer, function: Any, layer: nn.Module, X: torch.Tensor, counts: "Counts"
) -> dict[str, torch.Tensor]:
    """What the function returns; raise `Wrong` if that is no dictionary of tensors with the names."""
    try:
        came = function(layer, X)
    except (ValueError, RuntimeError) as error:
        message = str(error).splitlines()[0]
        if "parameter_and_buffer_dicts" in message:
            why = "`functional_call` takes the layer, then the parameters as a dict from names to tensors, then the input."
        elif "NoneType" in message and "return" in message:
            why = "The loss function returns `None`: is a `return` missing?"
        elif "scalar" in message:
            why = (
                "The loss of one example has to be a single number, the sum of the squares: `grad` needs one."
            )
        elif "vmap" in message and isinstance(error, ValueError):
            why = "`vmap` splits every argument along dimension 0, the parameters too. `in_dims` gives the dimension for each argument; `None` means that it is not split."
        elif counts.shape is not None and counts.shape != X.shape[1:]:
            why = f"The layer gets a tensor of shape {counts.shape}, but one example has the shape {tuple(X.shape[1:])}: `in_dims` says for each argument along which dimension it is split."
        else:
            raise
        raise Wrong(why, came=f"{type(error).__name__}: {message}", expected="a dict") from error
    if isinstance(came, torch.Tensor) and came.shape == X.shape:
        raise Wrong(
            "These are the gradients with respect to `X`. `grad` differentiates with respect to the first argument, so this has to be the parameters.",
            came=came,
            expected="a dict",
        )
    found: dict[str, torch.Tensor] = answer.kind(came, "per_example(layer, X)", dict, "a dict")
    names = [name for name, _ in layer.named_parameters()]
    if sorted(map(str, found)) != sorted(names):
        why = "The keys have to be the names of the parameters."
        if buffers := [name for name, _ in layer.named_buffers() if name in found]:
            why = f"`{buffers[0]}` is a buffer, not a parameter: a state dict contains both."
        raise Wrong(why, came=f"keys: {', '.join(map(str, found))}", expected=f"keys: {', '.join(names)}")
    return found


OTHER_LOSSES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "The loss is the sum of the outputs: it should be the sum of their squares.": lambda y: y.sum(),
    "The loss is the mean of the squares: it should be their sum.": lambda y: y.square().mean(),
    "The outputs are added up before they are squared: square them first.": lambda y: y.sum().square(),
}


def compare(
    answer: Answer,
    came: dict[str, torch.Tensor],
    expected: dict[str, torch.Tensor],
    layer: nn.Module,
    X: torch.Tensor,
) -> None:
    """Raise `Wrong` unless the gradients are those of the loop."""
    n = len(X)
    for name, gradients in expected.items():
        found = answer.tensor(came[name], f'per_example(layer, X)["{name}"]')
        if found.shape == gradients.shape[1:]:
            sums = {"sum": gradients.sum(dim=0), "mean": gradients.mean(dim=0)}
            kind = next(
                (
                    f", the {kind} over the examples"
                    for kind, each in sums.items()
                    if torch.allclose(found, each, atol=1e-5)
                ),
                "",
            )
            why = f"This is one gradient for the whole batch{kind}: `vmap` keeps the examples apart."
        elif found.shape == gradients.shape and torch.allclose(found, gradients / n, atol=1e-6):
            why = "The gradients are divided by n: each example has a loss of its own, without a mean over the batch."
        elif found.shape == gradients.shape and not found.any():
            why = "All gradients are 0: the loss has to compute with the parameters that it gets, as `functional_call` does."
        elif found.shape == gradients.shape and all(torch.equal(each, found[0]) for each in found):
            why = "All examples have the same gradient: the loss of one example has to use this example only."
        elif found.shape == gradients.shape:
            others = {
                why: reference(layer, X, loss)[name]
                for why, loss in OTHER_LOSSES.items()
                if not torch.allclose(found, gradients, atol=1e-5)
            }
            why = next((why for why, other in others.items() if torch.allclose(found, other, atol=1e-5)), "")
        elif found.dim() == gradients.dim() and found.numel() == gradients.numel():
            why = "The examples are not in the first dimension of the gradients."
        else:
            why = ""
        answer.same(found, gradients, f'per_example(layer, X)["{name}"]', why)


class Counts:
    """Counts the calls of a layer, and the gradients of its parameters."""

    def __init__(self, layer: nn.Module) -> None:
        self.calls = self.gradients = 0
        self.shape: tuple[int, ...] | None = None  # of the input
        self.handles = [layer.register_forward_pre_hook(self.call)]
        weight: Any = next(layer.parameters())
        self.handles += [weight.register_hook(self.gradient)]

    def call(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        self.calls += 1
        if args and isinstance(args[0], torch.Tensor):
            self.shape = tuple(args[0].shape)

    def gradient(self, _: torch.Tensor) -> None:
        self.gradients += 1

    def remove(self) -> None:
        for each in self.handles:
            each.remove()


def reference(
    layer: nn.Module, X: torch.Tensor, loss: Callable[[torch.Tensor], torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The gradients of each example, computed one after the other."""
    names = [name for name, _ in layer.named_parameters()]
    rows = []
    for x in X:
        rows.append(torch.autograd.grad(loss(layer(x)), list(layer.parameters())))
    return {name: torch.stack(each) for name, each in zip(names, zip(*rows, strict=True), strict=True)}


WRONG = (
    WrongAnswer("for the whole batch", changes={"vmap(grad(loss), in_dims=(None, 0))": "grad(loss)"}),
    WrongAnswer("should be the sum of their squares", changes={".square()": ""}),
    WrongAnswer("it should be their sum", changes={".sum()": ".mean()"}),
    WrongAnswer("has to be a single number", changes={".sum()": ""}),
    WrongAnswer(
        "is a buffer, not a parameter", changes={"layer.named_parameters()": "layer.state_dict().items()"}
    ),
    WrongAnswer(
        "returns `None`: is a `return` missing", changes={"return functional_call": "functional_call"}
    ),
    WrongAnswer("but one example has the shape", changes={"(None, 0)": "(0, None)"}),
    WrongAnswer("not in the first dimension", changes={"(None, 0)": "(None, 0), out_dims=1"}),
    WrongAnswer(
        "changes the mode", changes={"    parameters = {\n": "    layer.eval()\n    parameters = {\n"}
    ),
    WrongAnswer(
        "removes the `.grad`", changes={"    parameters = {\n": "    layer.zero_grad()\n    parameters = {\n"}
    ),
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
