"""Gradients, the optimizer, modes, and `.data`."""

import torch
from torch import nn
from torch.nn import functional as F

from ._case import Given, batch, case, classes


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
            self.hidden, self.weight = nn.Linear(4, 4), nn.Parameter(batch(4, 4))

        def forward(self, X):
            Y = self.hidden(X) @ self.weight
            if wrong:
                self.weight.data.clamp_(-0.1, 0.1)  # here
            return (Y @ self.weight).relu()

    return Given(Net(), (batch(3, 4),))


@case("data-write", "weight", level="question")
def a_write_through_data_after_a_use_that_needs_no_values(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(batch(4, 4))

        def forward(self, X):
            Y = X @ self.weight  # for its gradient, only X is needed
            if wrong:
                self.weight.data.clamp_(-0.1, 0.1)  # here
            return Y

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


@case("random-in-eval", "net", level="question")
def dropout_in_a_list(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)
            layers = [nn.ReLU(), nn.Dropout()]
            self.layers = layers if wrong else nn.ModuleList(layers)

        def forward(self, X):
            for layer in self.layers:
                X = layer(X)  # here
            return self.out(X)

    return Given(Net(), (batch(3, 4),))
