"""Numbers, dtypes and devices."""

import torch
from torch import nn

from ._case import Given, batch, case


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
