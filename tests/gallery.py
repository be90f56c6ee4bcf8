"""A gallery of mistakes: for each code of `diagnose` one net or more with the mistake, and its mended twin.

A case builds everything that `diagnose` is given. The mistake has exactly the finding of its code, at the
places that it names; the twin has no finding at all. The comment `# here` marks the line of the finding.
"""

import functools
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass
class Given:
    """The arguments of a call of `diagnose`."""

    net: nn.Module
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A mistake and its twin.

    Attributes:
        code: the code of its finding.
        name: what it shows; unique.
        build: builds it: with the mistake if it is given True, and otherwise mended.
        names: the names of the finding.
        level: the level of the finding.
        others: codes of further findings that follow from the mistake.
    """

    code: str
    name: str
    build: Callable[[bool], Given]
    names: tuple[str, ...]
    level: str
    others: tuple[str, ...] = ()


CASES: list[Case] = []
CORRECT: dict[str, tuple[Callable[[], Given], set[str]]] = {}  # unusual nets that are not wrong


def correct(*questions: str) -> Callable[[Callable[[], Given]], Callable[[], Given]]:
    """Add a net without an error, and the codes of its questions."""

    def add(build: Callable[[], Given]) -> Callable[[], Given]:
        CORRECT[build.__name__] = build, {*questions}
        return build

    return add


def case(
    code: str, *names: str, level: str = "error", others: tuple[str, ...] = ()
) -> Callable[[Callable[[bool], Given]], Callable[[bool], Given]]:
    def add(build: Callable[[bool], Given]) -> Callable[[bool], Given]:
        CASES.append(Case(code, build.__name__, build, names, level, others))
        return build

    return add


def batch(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def classes(n: int, k: int) -> Tensor:
    return torch.arange(n) % k


class Chain(nn.Module):
    """Calls what its attribute `layers` holds, one after the other."""

    def forward(self, X: Tensor) -> Tensor:
        layers = self.layers.values() if hasattr(self.layers, "values") else self.layers
        for layer in layers:
            X = layer(X)
        return X


# Registration.


@case("unregistered", "self.layers[0]", "self.layers[1]")
def layers_in_a_list(wrong: bool) -> Given:
    class Net(Chain):
        def __init__(self):
            super().__init__()
            layers = [nn.Linear(4, 4), nn.Linear(4, 2)]
            self.layers = layers if wrong else nn.ModuleList(layers)  # here

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.layers['a']", "self.layers['b']")
def layers_in_a_dict(wrong: bool) -> Given:
    class Net(Chain):
        def __init__(self):
            super().__init__()
            layers = {"a": nn.Linear(4, 4), "b": nn.Linear(4, 2)}
            self.layers = layers if wrong else nn.ModuleDict(layers)  # here

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.layers[0]")
def a_layer_in_a_tuple_beside_others(wrong: bool) -> Given:
    class Net(Chain):
        def __init__(self):
            super().__init__()
            self.layers = (nn.Linear(4, 4),) if wrong else nn.ModuleList([nn.Linear(4, 4)])  # here
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(super().forward(X))

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.weights[0]", "self.weights[1]")
def parameters_in_a_list(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            weights = [nn.Parameter(batch(4, 4)) for _ in range(2)]
            self.weights = weights if wrong else nn.ParameterList(weights)  # here

        def forward(self, X):
            for weight in self.weights:
                X = X @ weight
            return X

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.weights[0]")
def a_parameter_in_a_list_that_is_transposed(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            weights = [nn.Parameter(batch(2, 4))]
            self.weights = weights if wrong else nn.ParameterList(weights)  # here

        def forward(self, X):
            return X @ self.weights[0].T

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.step")
def a_layer_in_a_closure(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.Linear(4, 4)
            self.step = (lambda X: layer(X)) if wrong else layer  # here

        def forward(self, X):
            return self.step(X)

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.step")
def a_parameter_in_a_partial(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            weight = nn.Parameter(batch(4, 4))
            self.step = functools.partial(F.linear, weight=weight)  # here
            if not wrong:
                self.weight = weight

        def forward(self, X):
            return self.step(X)

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.block.heads[0]", "self.block.heads[1]")
def layers_in_a_list_of_a_submodule(wrong: bool) -> Given:
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            heads = [nn.Linear(4, 2), nn.Linear(4, 2)]
            self.heads = heads if wrong else nn.ModuleList(heads)  # here

        def forward(self, X):
            return torch.cat([head(X) for head in self.heads], dim=-1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.out = Block(), nn.Linear(4, 2)

        def forward(self, X):
            return self.out(self.block(X))

    return Given(Net(), (batch(3, 4),))


@case("built-in-forward", "net")
def a_layer_built_in_forward(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, X):
            X = self.hidden(X)
            return nn.Linear(4, 2)(X) if wrong else self.out(X)  # here

    given = Given(Net(), (batch(3, 4),))
    if wrong:
        del given.net.out
    return given


@case("built-in-forward", "out", level="question")
def a_layer_built_at_the_first_call(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = None if wrong else nn.Linear(4, 2)

        def forward(self, X):
            if self.out is None:
                self.out = nn.Linear(X.shape[-1], 2)  # here
            return self.out(X)

    return Given(Net(), (batch(3, 4),))


@case("not-a-parameter", "self.weight")
def a_parameter_times_a_number(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            weight = batch(4, 2)
            self.weight = nn.Parameter(weight) * 0.01 if wrong else nn.Parameter(weight * 0.01)  # here
            self.bias = nn.Parameter(torch.zeros(2))

        def forward(self, X):
            return X @ self.weight + self.bias

    return Given(Net(), (batch(3, 4),))


@case("not-a-parameter", "self.weight")
def a_plain_tensor_that_requires_a_gradient(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            weight = batch(4, 2).requires_grad_()
            self.weight = weight if wrong else nn.Parameter(weight)  # here
            self.bias = nn.Parameter(torch.zeros(2))

        def forward(self, X):
            return X @ self.weight + self.bias

    return Given(Net(), (batch(3, 4),))


@case("constant", "self.scale", level="question")
def a_plain_tensor(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)
            if wrong:
                self.scale = torch.tensor(2.0)  # here
            else:
                self.register_buffer("scale", torch.tensor(2.0))

        def forward(self, X):
            return self.out(X) * self.scale

    return Given(Net(), (batch(3, 4),))


@case("misspelt", "0.weight", "0.bias")
def require_grad_of_a_parameter(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    for parameter in net[0].parameters():
        if wrong:
            parameter.require_grad = False
        else:
            parameter.requires_grad = False
    return Given(net, (batch(3, 4),))


@case("misspelt", "0.requires_grad")
def requires_grad_of_a_module(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    if wrong:
        net[0].requires_grad = False
    else:
        net[0].requires_grad_(False)
    return Given(net, (batch(3, 4),))


@case("misspelt", "trainig")
def training_of_a_net(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2))
    if wrong:
        net.trainig = False
    else:
        net.training = False
    return Given(net, (batch(3, 4),))


@case("dotted-name", "net.1")
def setattr_with_a_path(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))  # here

        def forward(self, X):
            return self.net(X)

    net = Net()
    if wrong:
        setattr(net, "net.1", nn.Identity())
    else:
        net.set_submodule("net.1", nn.Identity())
    return Given(net, (batch(3, 4),))


@case("kept-graph", "h")
def a_state_that_keeps_its_graph(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(4, 4)
            self.register_buffer("h", torch.zeros(1, 4))

        def forward(self, X):
            H = torch.tanh(self.step(X) + self.h)
            self.h = H if wrong else H.detach()  # here
            return H

    return Given(Net(), (batch(1, 4),))


@case("filled-at-first-call", "mean", level="question")
def a_buffer_that_is_none(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", None if wrong else torch.zeros(4))  # here
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            if self.mean is None:
                self.mean = X.mean(0)
            return self.out(X - self.mean)

    return Given(Net(), (batch(3, 4),))


@case("still-lazy", "unused.weight", "unused.bias")
def a_lazy_layer_that_never_runs(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.LazyLinear(2)
            if wrong:
                self.unused = nn.LazyLinear(2)  # here

        def forward(self, X):
            return self.out(X)

    return Given(Net(), (batch(3, 4),))


@case("unhashable", "net")
def a_dataclass(wrong: bool) -> Given:
    @dataclass(eq=wrong)
    class Net(nn.Module):
        width: int

        def __post_init__(self):
            super().__init__()
            self.out = nn.Linear(self.width, 2)

        def forward(self, X):
            return self.out(X)

    return Given(Net(4), (batch(3, 4),))


@case("hidden-method", "parameters")
def an_attribute_called_parameters(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)
            if wrong:
                self.parameters = {"width": 4}  # here

        def forward(self, X):
            return self.out(X)

    return Given(Net(), (batch(3, 4),))


@case("hidden-method", "train", level="question")
def a_method_called_train(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):  # here
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(X)

    if wrong:
        Net.train = lambda self, batches, epochs: None
    return Given(Net(), (batch(3, 4),))


@case("cycle", "child.parent")
def a_child_that_holds_its_parent(wrong: bool) -> Given:
    class Child(nn.Module):
        def __init__(self, parent):
            super().__init__()
            self.parent = parent if wrong else (parent,)
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(X)

    class Parent(nn.Module):
        def __init__(self):
            super().__init__()
            self.child = Child(self)

        def forward(self, X):
            return self.child(X)

    return Given(Parent(), (batch(3, 4),))


# Sharing.


@case("same-memory", "0.weight", "1.weight")
def two_parameters_over_one_memory(wrong: bool) -> Given:
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight = nn.Parameter(a.weight.data) if wrong else a.weight
    return Given(nn.Sequential(a, b), (batch(3, 4),))


@case("tie-lost", "0.weight", "1.weight")
def a_tie_that_loading_has_separated(wrong: bool) -> Given:
    table, scores = nn.Embedding(5, 4), nn.Linear(4, 5)
    scores.weight = table.weight
    net = nn.Sequential(table, scores)
    net.load_state_dict({name: tensor.clone() for name, tensor in net.state_dict().items()}, assign=wrong)
    return Given(net, (torch.tensor([[0, 1, 2]]),), {"ties": [("0.weight", "1.weight")]})


@case("runs-once", "0", "2", others=("one-layer-many-names",))
def a_loop_over_children(wrong: bool) -> Given:
    class Stack(nn.Module):
        def __init__(self, *layers):
            super().__init__()
            for index, layer in enumerate(layers):
                self.add_module(str(index), layer)

        def forward(self, X):
            for layer in self.children() if wrong else self._modules.values():  # here
                X = layer(X)
            return X

    layer = nn.Linear(4, 4)
    options = {} if wrong else {"silence": ["one-layer-many-names"]}
    return Given(Stack(layer, nn.ReLU(), layer), (batch(3, 4),), options)


@case("one-layer-many-names", "layers.0", "layers.1", "layers.2", level="question")
def one_layer_three_times(wrong: bool) -> Given:
    class Net(Chain):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(  # here
                [nn.Linear(4, 4)] * 3 if wrong else [nn.Linear(4, 4) for _ in range(3)]
            )

    return Given(Net(), (batch(3, 4),))


# Training.


@case("no-gradient", "loss")
def a_loss_that_is_a_number(wrong: bool) -> Given:
    y = classes(6, 2)

    def loss(Y):
        value = F.cross_entropy(Y, y)
        return value.item() if wrong else value

    return Given(nn.Linear(4, 2), (batch(6, 4),), {"loss": loss})


@case("no-gradient", "net")
def an_output_without_a_graph(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            Y = self.out(X)
            return torch.tensor(Y.tolist()) if wrong else Y

    y = classes(6, 2)
    return Given(Net(), (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})


@case("unused", "extra", level="question")
def a_layer_that_forward_forgets(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(4, 4), nn.Linear(4, 2)
            if wrong:
                self.extra = nn.Linear(4, 4)  # here

        def forward(self, X):
            return self.out(self.hidden(X))

    return Given(Net(), (batch(3, 4),))


@case("unused", "hidden", level="question")
def a_layer_that_is_cut_off(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(4, 4), nn.Linear(4, 2)  # here

        def forward(self, X):
            H = self.hidden(X)
            return self.out(H.detach() if wrong else H)

    return Given(Net(), (batch(3, 4),))


@case("optimizer", "1")
def an_optimizer_of_the_old_layer(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net[1] = nn.Linear(4, 2)
    if not wrong:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    return Given(net, (batch(3, 4),), {"optimizer": optimizer})


@case("optimizer", "0")
def an_optimizer_of_a_part(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(net[1].parameters() if wrong else net.parameters(), lr=0.1)
    return Given(net, (batch(3, 4),), {"optimizer": optimizer})


@case("optimizer-device", "weight")
def a_state_on_another_device(wrong: bool) -> Given:
    net = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for parameter in net.parameters():
        device = "meta" if wrong else "cpu"
        optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, device=device)
    return Given(net, (batch(3, 4),), {"optimizer": optimizer})


@case("in-eval", "net", level="question")
def a_net_in_evaluation_mode(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2)).train(not wrong)
    y = classes(6, 2)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})


@case("in-eval", "1", level="question")
def a_part_in_evaluation_mode(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    net[1].train(not wrong)
    y = classes(6, 2)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})


@case("frozen", "0", level="question")
def a_frozen_layer(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    net[0].requires_grad_(not wrong)
    y = classes(6, 2)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})


@case("data-read", "weight")
def data_in_forward(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(batch(4, 2))
            self.bias = nn.Parameter(torch.zeros(2))

        def forward(self, X):
            return X @ (self.weight.data if wrong else self.weight) + self.bias  # here

    return Given(Net(), (batch(3, 4),))


@case("data-write", "weight")
def a_write_through_data_after_use(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(batch(4, 4))

        def forward(self, X):
            Y = X @ self.weight
            if wrong:
                self.weight.data.clamp_(-0.1, 0.1)  # here
            return (Y @ self.weight).relu()

    return Given(Net(), (batch(3, 4),))


@case("data-write", "weight", level="question")
def a_write_through_data_before_use(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(batch(4, 4))

        def forward(self, X):
            if wrong:
                self.weight.data = self.weight.data / self.weight.data.norm()  # here
            return X @ (self.weight if wrong else self.weight / self.weight.norm())

    return Given(Net(), (batch(3, 4),))


@case("data-write", "weight")
def a_decay_through_data_in_each_call(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(batch(4, 4))

        def forward(self, X):
            if wrong:
                self.weight.data *= 0.9  # here
            return X @ self.weight

    return Given(Net(), (batch(3, 4),))


@case("random-in-eval", "net", level="question")
def dropout_without_the_mode(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(F.dropout(X, 0.5) if wrong else F.dropout(X, 0.5, self.training))  # here

    return Given(Net(), (batch(3, 4),))


# Calls.


class Calls(nn.Module):
    def __init__(self, wrong: bool) -> None:
        super().__init__()
        self.wrong = wrong
        self.hidden, self.out = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, X: Tensor) -> Tensor:
        H = self.hidden.forward(X) if self.wrong else self.hidden(X)  # here
        return self.out(H)


@case("forward-called", "hidden")
def forward_of_a_layer_with_a_hook(wrong: bool) -> Given:
    net = Calls(wrong)
    net.hidden.register_forward_hook(lambda *_: None)
    return Given(net, (batch(3, 4),))


@case("forward-called", "hidden", level="question")
def forward_of_a_layer(wrong: bool) -> Given:
    return Given(Calls(wrong), (batch(3, 4),))


@case("input-changed", "net")
def an_input_divided_in_place(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            if wrong:
                X /= 2  # here
            else:
                X = X / 2
            return self.out(X)

    return Given(Net(), (batch(3, 4),))


@case("input-changed", "0")
def a_relu_in_place_at_the_beginning(wrong: bool) -> Given:
    return Given(nn.Sequential(nn.ReLU(inplace=wrong), nn.Linear(4, 2)), (batch(3, 4),))


# Values.


@case("equal-units", "0.weight")
def constant_weights(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    if wrong:
        for parameter in net.parameters():
            nn.init.constant_(parameter, 0.1)
    return Given(net, (batch(3, 4).abs(),))


@case("equal-units", "0.weight")
def constant_weights_of_a_convolution(wrong: bool) -> Given:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 2))
    if wrong:
        nn.init.ones_(net[0].weight)
        nn.init.zeros_(net[0].bias)
        nn.init.ones_(net[3].weight)
    return Given(net, (batch(2, 1, 6, 6),))


@case("nan", "0.weight", level="question")
def a_weight_that_is_nan(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    if wrong:
        with torch.no_grad():
            net[0].weight[0, 0] = torch.nan
    return Given(net, (batch(3, 4),))


@case("nan", "root", level="question")
def a_root_of_negative_numbers(wrong: bool) -> Given:
    class Root(nn.Module):
        def forward(self, X):  # here
            return X.sqrt() if wrong else X.abs().sqrt()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.root, self.out = Root(), nn.Linear(4, 2)

        def forward(self, X):
            return self.out(self.root(X))

    return Given(Net(), (batch(3, 4),))


@case("scale", "0", "8", level="question")
def activations_that_grow(wrong: bool) -> Given:
    layers = [nn.Linear(64, 64) for _ in range(5)]
    for layer in layers:
        nn.init.normal_(layer.weight, std=4 if wrong else 0.2)
    return Given(
        nn.Sequential(*(each for layer in layers for each in (layer, nn.ReLU())), nn.Linear(64, 2)),
        (batch(3, 64),),
    )


@case("dead-units", "1", level="question")
def a_relu_that_is_always_zero(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    if wrong:
        nn.init.constant_(net[0].bias, -100)
    return Given(net, (batch(3, 4),))


@case("rounded-buffer", "frequencies", level="question")
def frequencies_in_16_bits(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("frequencies", 1 / 10000 ** (torch.arange(0, 32, 2) / 32))  # here

        def forward(self, X):
            return torch.outer(X, self.frequencies.float()).cos()

    return Given(Net().bfloat16() if wrong else Net(), (torch.arange(9.0),))


@case("padding-row", "0.weight", level="question")
def a_row_for_padding_that_is_not_zero(wrong: bool) -> Given:
    net = nn.Sequential(nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 2))
    if wrong:
        nn.init.normal_(net[0].weight)
    return Given(net, (torch.tensor([[1, 2, 0]]),))


@case("mixed-dtype", "input", others=())
def a_batch_from_numpy(wrong: bool) -> Given:
    X = batch(3, 4).double()
    return Given(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), (X if wrong else X.float(),))


@case("mixed-dtype", "1.weight", "1.bias", others=())
def a_layer_that_was_cast(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    if wrong:
        net[1].double()
    return Given(net, (batch(3, 4),))


@case("mixed-dtype", "shift", level="question")
def a_buffer_in_double_precision(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)
            dtype = torch.float64 if wrong else torch.float32
            self.register_buffer("shift", torch.ones(2, dtype=dtype))  # here

        def forward(self, X):
            return self.out(X) + self.shift

    return Given(Net(), (batch(3, 4),))


@case("mixed-device", "1.weight", "1.bias", others=())
def a_layer_on_another_device(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    if wrong:
        net[1].to("meta")
    return Given(net, (batch(3, 4),))


# Losses.


@case("softmax-twice", "output", level="question")
def softmax_before_cross_entropy(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=-1) if wrong else nn.Identity())
    y = classes(6, 4)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})  # here


@case("softmax-twice", "output", level="question")
def sigmoid_before_a_loss_with_logits(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid() if wrong else nn.Identity())
    y = classes(6, 2).float()
    criterion = nn.BCEWithLogitsLoss()
    return Given(net, (batch(6, 4),), {"loss": lambda Y: criterion(Y.squeeze(-1), y)})  # here


@case("softmax-twice", "output")
def softmax_before_nll_loss(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 4), nn.Softmax(dim=-1) if wrong else nn.LogSoftmax(dim=-1))
    y = classes(6, 4)
    return Given(net, (batch(6, 4),), {"loss": lambda Y: F.nll_loss(Y, y)})  # here


@case("broadcast", "output", level="question")
def each_prediction_with_each_target(wrong: bool) -> Given:
    y = batch(6)
    return Given(
        nn.Linear(4, 1),
        (batch(6, 4),),
        {"loss": lambda Y: ((Y if wrong else Y.squeeze(-1)) - y).square().mean()},  # here
    )


# Failures.


@case("raises", "2")
def shapes_that_do_not_fit(wrong: bool) -> Given:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(6 if wrong else 8, 2))
    return Given(net, (batch(3, 4),))


@case("raises", "loss")
def targets_of_the_wrong_dtype(wrong: bool) -> Given:
    y = classes(6, 2)
    y = y.to(torch.int32) if wrong else y
    return Given(nn.Linear(4, 2), (batch(6, 4),), {"loss": lambda Y: F.cross_entropy(Y, y)})  # here


# Unusual, but not wrong: what other libraries do, and rules have taken for a mistake.


@correct()
def a_part_that_forward_replaces_and_keeps_the_layers_of() -> Given:
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Linear(4, 4)

        def forward(self, X):
            return self.hidden(X)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.part, self.out = Part(), nn.Linear(4, 2)

        def forward(self, X):
            new = Part()  # its own layer is made, filled and never used
            new.hidden = self.part.hidden
            self.part = new
            return self.out(self.part(X))

    return Given(Net(), (batch(3, 4),))


@correct()
def a_layer_of_zeros_to_which_no_example_goes() -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Linear(4, 3), nn.Linear(3, 4)
            self.out = nn.Linear(4, 2)
            nn.init.zeros_(self.up.weight)

        def forward(self, X):
            goes = (X > 1e6).float()  # only examples with such a value
            return self.out(X + goes * self.up(self.down(X)))

    return Given(Net(), (batch(3, 4),))


class Unlike(nn.Module):
    """A linear layer in a class of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(4, 4)

    def forward(self, X: Tensor) -> Tensor:
        return self.hidden(X)


@correct()
def a_constant_filter_that_forward_wraps_in_a_parameter() -> Given:
    class Net(Unlike):
        def forward(self, X):
            return F.linear(super().forward(X), nn.Parameter(torch.eye(4), requires_grad=False))

    return Given(Net(), (batch(3, 4),))


@correct()
def a_frozen_module_that_was_built_with_requires_grad() -> Given:
    class Net(Unlike):
        def __init__(self, requires_grad=True):
            super().__init__()
            self.requires_grad = requires_grad

    return Given(nn.Sequential(Net().requires_grad_(False), nn.Linear(4, 2)), (batch(3, 4),))


@correct()
def a_flag_whose_name_ends_like_training() -> Given:
    net = Unlike()
    net.retraining = False
    return Given(net, (batch(3, 4),))


@correct("kept-graph")
def a_state_of_a_sequence_that_the_caller_resets() -> Given:
    class Net(Unlike):
        def __init__(self):
            super().__init__()
            self.register_buffer("h", torch.zeros(1, 4))

        def reset(self):
            self.h = torch.zeros(1, 4)

        def forward(self, X):
            self.h = torch.tanh(super().forward(X) + self.h)
            return self.h

    return Given(Net(), (batch(1, 4),))


@correct()
def a_state_that_is_detached_when_it_is_read() -> Given:
    class Net(Unlike):
        def __init__(self):
            super().__init__()
            self.h = None

        def forward(self, X):
            self.h = super().forward(X) + (0 if self.h is None else self.h.detach())
            return self.h

    return Given(Net(), (batch(1, 4),))


@correct("same-memory")
def a_frozen_parameter_over_the_memory_of_another() -> Given:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = nn.Parameter(first.weight.detach(), requires_grad=False)
    return Given(nn.Sequential(first, nn.ReLU(), second), (batch(3, 4),))


class Codebook(nn.Module):
    """Replaces each vector by the nearest one of a table, which is a running average and has no graph."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 4), nn.Linear(4, 2)
        self.table = nn.Parameter(batch(6, 4))

    def forward(self, X: Tensor) -> Tensor:
        H = self.hidden(X)
        nearest = torch.cdist(H.detach(), self.table.data).argmin(dim=1)
        found = self.table.data[nearest]
        if self.training:
            self.table.data[nearest] += 0.1 * (H.detach() - found)
        return self.out(H + (found - H).detach())


@correct()
def a_table_of_running_averages() -> Given:
    return Given(Codebook(), (batch(3, 4),))


@correct("data-read")
def a_table_of_running_averages_in_evaluation_mode() -> Given:
    return Given(Codebook().eval(), (batch(3, 4),))


class Cache:
    """Keeps what earlier calls have computed."""

    def __init__(self) -> None:
        self.values, self.number = torch.zeros(5, 3, 4), 0


@correct()
def a_cache_that_is_passed_to_the_net() -> Given:
    class Net(Unlike):
        def forward(self, X, cache):
            H = super().forward(X)
            cache.values[cache.number] = H.detach()
            cache.number += 1
            return H + cache.values.sum(dim=0)

    return Given(Net(), (batch(3, 4), Cache()))


@correct()
def attributes_that_lead_everywhere_or_nowhere() -> Given:
    net, gone = Unlike(), Unlike()
    vars(net)["gone"] = weakref.proxy(gone)
    net.library, net.objects = torch, [Cache() for _ in range(3)]
    for each in net.objects:
        each.others = net.objects
    return Given(net, (batch(3, 4),))


@correct()
def a_net_that_refuses_evaluation_mode() -> Given:
    class Net(Unlike):
        def eval(self):
            raise NotImplementedError("this net is only trained")

    return Given(Net(), (batch(3, 4),))


@correct()
def gates_with_small_gradients() -> Given:
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.gate = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, X):
            return X + self.hidden(X) * (1 + 1e-6 * self.gate(X))

    net = nn.Sequential(*(Gated() for _ in range(4)))
    return Given(net, (batch(3, 8),), {"loss": lambda Y: Y.square().mean()})
