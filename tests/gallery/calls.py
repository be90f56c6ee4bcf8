"""How the forward pass calls its layers, and where it writes."""

from torch import Tensor, nn

from ._case import Given, batch, case


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
