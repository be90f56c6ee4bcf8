"""Unusual, but not wrong: what other libraries do, and rules have taken for a mistake."""

import weakref

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ._case import Given, batch, correct


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
