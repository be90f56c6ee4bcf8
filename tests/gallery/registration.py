"""What the net uses and does not hold; names; classes that cannot be a module."""

import functools
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from ._case import Chain, Given, batch, case


@case("unregistered", "self.layers[0]", "self.layers[2]")
def layers_in_a_list(wrong: bool) -> Given:
    class Net(Chain):
        def __init__(self):
            super().__init__()
            layers = [nn.Linear(4, 4), nn.Dropout(), nn.Linear(4, 2)]
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


@case("unregistered", "self.layers['a'][0]", "self.layers['b'][0]", "self.layers['b'][1]")
def layers_in_lists_in_a_dict(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layers = {"a": [nn.Linear(4, 4)], "b": [nn.Linear(4, 4), nn.Linear(4, 2)]}
            lists = {name: nn.ModuleList(each) for name, each in layers.items()}
            self.layers = layers if wrong else nn.ModuleDict(lists)  # here

        def forward(self, X):
            for part in self.layers.values():
                for layer in part:
                    X = layer(X)
            return X

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.parts.first", "self.parts.second")
def layers_in_an_object(wrong: bool) -> Given:
    @dataclass
    class Parts:
        first: nn.Module
        second: nn.Module

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = Parts(nn.Linear(4, 4), nn.Linear(4, 2))  # here
            if not wrong:
                self.layers = nn.ModuleList([self.parts.first, self.parts.second])

        def forward(self, X):
            return self.parts.second(self.parts.first(X))

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "net")
def a_layer_of_the_class(wrong: bool) -> Given:
    class Net(nn.Module):
        layer = nn.Linear(4, 2)

        def __init__(self):
            super().__init__()
            if not wrong:
                self.own = self.layer

        def forward(self, X):
            return self.layer(X)  # here

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "net")
def a_layer_outside_the_net(wrong: bool) -> Given:
    layer = nn.Linear(4, 2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = None if wrong else layer

        def forward(self, X):
            return layer(X)  # here

    return Given(Net(), (batch(3, 4),))


@case("unregistered", "self.heads[0]", "self.heads[1]")
def layers_in_a_list_behind_keywords_and_a_dict(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            heads = [nn.Linear(4, 2), nn.Linear(4, 2)]
            self.heads = heads if wrong else nn.ModuleList(heads)  # here

        def forward(self, *, inputs):
            return {"scores": [head(input=inputs["X"]) for head in self.heads]}

    return Given(Net(), (), {"inputs": {"X": batch(3, 4)}})


@case("unregistered", "self.layers[0]")
def a_layer_in_a_list_that_is_computed_again(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(4, 4)] if wrong else nn.ModuleList([nn.Linear(4, 4)])  # here
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(checkpoint(self.layers[0], X, use_reentrant=True))

    return Given(Net(), (batch(3, 4).requires_grad_(),), {"loss": lambda Y: Y.square().mean()})


@case("unregistered", "self.teacher[0]", level="question")
def a_teacher_in_a_tuple(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            teacher = nn.Linear(4, 2).requires_grad_(False)
            self.out = nn.Linear(4, 2)
            self.teacher = (teacher,) if wrong else nn.ModuleList([teacher])  # here

        def forward(self, X):
            with torch.no_grad():
                Y = self.teacher[0](X)
            return self.out(X) - Y

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


@case("built-in-forward", "self.layers[4]", level="question")
def layers_that_are_built_when_they_are_needed(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = {} if wrong else nn.ModuleDict({"4": nn.Linear(4, 4)})  # here
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            width = X.shape[-1]
            if wrong and width not in self.layers:
                self.layers[width] = nn.Linear(width, 4)
            return self.out(self.layers[width if wrong else str(width)](X))

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


@case("not-a-parameter", "self.weights[0]", "self.weights[1]")
def parameters_in_double_precision_in_a_list(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2).double()
            if wrong:
                self.weights = [nn.Parameter(batch(4, 4)).double() for _ in range(2)]  # here
            else:
                self.weights = nn.ParameterList([nn.Parameter(batch(4, 4).double()) for _ in range(2)])

        def forward(self, X):
            for weight in self.weights:
                X = X @ weight
            return self.out(X)

    return Given(Net(), (batch(3, 4).double(),))


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
        Net.train = lambda self, batches, epochs=1: None
    return Given(Net(), (batch(3, 4),))


@case("hidden-method", "parameters")
def a_property_called_parameters(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):  # here
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(X)

    if wrong:
        Net.parameters = property(lambda self: [self.out.weight])
    return Given(Net(), (batch(3, 4),))


@case("hidden-method", "children")
def a_cached_property_called_children(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):  # here
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(X)

    if wrong:
        Net.children = functools.cached_property(lambda self: [self.out])
    return Given(Net(), (batch(3, 4),))


@case("hidden-method", "eval", level="question")
def a_method_called_eval(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):  # here
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(X)

    if wrong:
        Net.eval = lambda self, X: self(X)
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
