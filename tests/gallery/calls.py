"""How the forward pass calls its layers, and where it writes."""

import torch
from torch import nn

from ._case import Given, batch, case


@case("forward-called", "0")
def forward_of_a_layer_with_a_hook(wrong: bool) -> Given:
    class Net(nn.Sequential):
        def forward(self, X):
            return self[1](self[0].forward(X) if wrong else self[0](X))  # here

    net = Net(nn.Linear(4, 4), nn.Linear(4, 2))
    net[0].register_forward_hook(lambda *_: None)
    return Given(net, (batch(3, 4),))


@case("forward-called", "0", level="question")
def forward_of_a_layer(wrong: bool) -> Given:
    class Net(nn.Sequential):
        def forward(self, X):
            return self[1](self[0].forward(X) if wrong else self[0](X))  # here

    return Given(Net(nn.Linear(4, 4), nn.Linear(4, 2)), (batch(3, 4),))


@case("forward-called", "part")
def forward_of_a_container_with_a_hook(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
            self.part.register_forward_hook(lambda *_: None)

        def forward(self, X):
            return self.part.forward(X) if wrong else self.part(X)  # here

    return Given(Net(), (batch(3, 4),))


@case("forward-called", "0")
def a_call_of_its_own_that_skips_the_hooks(wrong: bool) -> Given:
    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            return self.out(X)

    if wrong:
        Part.__call__ = lambda self, X: self.forward(X)  # here
    net = nn.Sequential(Part(), nn.ReLU())
    net[0].register_forward_hook(lambda *_: None)
    return Given(net, (batch(3, 4),))


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


@case("input-changed", "net")
def an_input_changed_through_data(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            X = X if wrong else X.clone()
            X.data.mul_(2)
            return self.out(X)

    return Given(Net(), (batch(3, 4),))


@case("input-changed", "net")
def an_input_changed_as_an_array(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, X):
            X = X if wrong else X.clone()
            values = X.numpy()
            values *= 2
            return self.out(X)

    return Given(Net(), (batch(3, 4),))


@case("input-changed", "net")
def a_mask_in_a_dict_inverted_in_place(wrong: bool) -> Given:
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, inputs):
            mask = inputs["mask"].logical_not_() if wrong else ~inputs["mask"]  # here
            return self.out(inputs["X"] * mask[:, None])

    return Given(Net(), ({"X": batch(3, 4), "mask": torch.tensor([True, False, False])},))
