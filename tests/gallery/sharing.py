"""Modules and tensors with several names."""

import torch
from torch import nn

from ._case import Chain, Given, batch, case


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


@case("tie-lost", "0.weight", "1.weight")
def a_tie_that_the_net_declares(wrong: bool) -> Given:
    class Net(nn.Sequential):
        _tied_weights_keys = {"1.weight": "0.weight"}  # noqa: RUF012

    net = Net(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    if not wrong:
        net[1].weight = net[0].weight
    return Given(net, (torch.tensor([[0, 1, 2]]),))


@case("tie-lost", "1.weight", level="question")
def a_tie_that_the_net_declares_in_a_list(wrong: bool) -> Given:
    class Net(nn.Sequential):
        _tied_weights_keys = ["1.weight"]  # noqa: RUF012

    net = Net(nn.Embedding(5, 4), nn.Linear(4, 5, bias=False))
    if not wrong:
        net[1].weight = net[0].weight
    return Given(net, (torch.tensor([[0, 1, 2]]),))


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
