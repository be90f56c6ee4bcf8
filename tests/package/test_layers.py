"""The custom layers, compared with PyTorch's own."""

import copy
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn import functional as F
from torch.nn.parameter import is_lazy

from d2lblocks import CenteredLayer, MyLazyLinear, MyLinear, apply_init

SIZES = st.integers(0, 5)


@settings(deadline=None, max_examples=60)
@given(batch=st.lists(SIZES, max_size=3), in_features=SIZES, out_features=SIZES, bias=st.booleans())
def test_a_linear_layer_is_pytorchs(
    batch: list[int], in_features: int, out_features: int, bias: bool
) -> None:
    """For every size and batch, the same seed gives the same values, outputs and gradients."""
    made, X = [], torch.rand(*batch, in_features)
    for kind in (nn.Linear, MyLinear):
        with warnings.catch_warnings(action="ignore"):  # nn.Linear warns if parameters have no values
            torch.manual_seed(1)
            layer = kind(in_features, out_features, bias=bias)
        inputs = X.clone().requires_grad_()
        layer(inputs).sum().backward()
        gradients = [inputs.grad, *(parameter.grad for parameter in layer.parameters())]
        made.append((layer.state_dict(), layer(X), gradients))
    torch.testing.assert_close(made[1], made[0], rtol=0, atol=0)
    assert repr(layer) == f"MyLinear({in_features=}, {out_features=}, {bias=})"


@pytest.mark.parametrize("bias", [True, False])
def test_gradients_are_right(bias: bool) -> None:
    """First and second gradients are right, for the input and every parameter."""
    layer = MyLinear(3, 2, bias=bias, dtype=torch.float64)
    names = [name for name, _ in layer.named_parameters()]

    def output(X: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (X,))

    inputs = (torch.rand(4, 3, dtype=torch.float64, requires_grad=True), *layer.parameters())
    assert gradcheck(output, inputs)
    assert gradgradcheck(output, inputs)


@pytest.mark.parametrize("cls", [nn.Linear, MyLinear])
def test_states_are_exchanged_with_nn_linear(cls: type[nn.Module]) -> None:
    """Each of the two loads the state of the other."""
    layer: Any = cls(3, 2)
    other: Any = MyLinear(3, 2) if cls is nn.Linear else nn.Linear(3, 2)
    other.load_state_dict(layer.state_dict())
    X = torch.rand(4, 3)
    assert torch.equal(other(X), layer(X))
    assert torch.equal(other(X), F.linear(X, layer.weight, layer.bias))


@pytest.mark.parametrize("dim", [None, 0, -1, (0, 1)])
def test_the_mean_is_gone(dim: Any) -> None:
    """The mean over these dimensions is 0, in the input's own type, and the gradients there add up to 0."""
    X = torch.rand(4, 5, dtype=torch.float64, requires_grad=True)
    Y = CenteredLayer(dim)(X)
    torch.testing.assert_close(Y.mean(dim), torch.zeros_like(Y.mean(dim)))
    assert Y.dtype == torch.float64
    (Y**3).sum().backward()
    assert X.grad is not None
    torch.testing.assert_close(X.grad.sum(dim), torch.zeros_like(X.grad.sum(dim)))


def test_examples_are_coupled_unless_each_has_its_own_mean() -> None:
    """With one mean for all, a change of one example changes the outputs of the others."""
    X = torch.rand(2, 5)
    other = X.clone()
    other[1] += 1
    assert not torch.equal(CenteredLayer()(X)[0], CenteredLayer()(other)[0])
    assert torch.equal(CenteredLayer(-1)(X)[0], CenteredLayer(-1)(other)[0])
    assert repr(CenteredLayer()) == "CenteredLayer()"
    assert repr(CenteredLayer(dim=-1)) == "CenteredLayer(dim=-1)"


@pytest.mark.parametrize("bias", [True, False])
def test_a_lazy_layer_becomes_a_linear_one(bias: bool) -> None:
    """The same seed gives a lazy layer the values of a layer with sizes. Until then nothing is drawn."""
    X = torch.rand(4, 3)
    torch.manual_seed(1)
    sized = MyLinear(3, 2, bias=bias)
    torch.manual_seed(1)
    lazy = MyLazyLinear(2, bias=bias)
    lazy.reset_parameters()
    assert repr(lazy) == f"MyLazyLinear(in_features=0, out_features=2, bias={bias})"
    twin = copy.deepcopy(lazy)
    apply_init(lazy, X)
    assert type(lazy) is MyLinear
    assert repr(lazy) == repr(sized)
    torch.testing.assert_close(lazy.state_dict(), sized.state_dict(), rtol=0, atol=0)
    assert all(is_lazy(parameter) for parameter in twin.parameters())


def test_a_lazy_layer_keeps_what_it_has_loaded() -> None:
    """The first batch changes its class but none of its values."""
    sized, lazy, X = MyLinear(3, 2), MyLazyLinear(2), torch.rand(4, 3)
    lazy.load_state_dict(sized.state_dict())
    assert torch.equal(lazy(X), sized(X))
    assert (type(lazy), lazy.in_features) == (MyLinear, 3)
    torch.testing.assert_close(lazy.state_dict(), sized.state_dict(), rtol=0, atol=0)


ERRORS: list[tuple[nn.Module, Tensor, type[Exception], str]] = [
    (MyLinear(3, 2), torch.rand(4, 5), RuntimeError, r"mat1 and mat2 shapes cannot be multiplied \(4x5 and 3x2\)"),
    (MyLinear(3, 2), torch.rand(4, 3).double(), RuntimeError, "must have the same dtype"),
    (MyLinear(3, 2).to("meta"), torch.rand(4, 3), RuntimeError, "meta"),
    (CenteredLayer(2), torch.rand(4, 5), IndexError, r"Dimension out of range \(expected to be in range of \[-2, 1\], but got 2\)"),
    (CenteredLayer(), torch.arange(3), RuntimeError, "could not infer output dtype"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "X", "error", "message"), ERRORS)
def test_what_is_wrong_is_said(layer: nn.Module, X: Tensor, error: type[Exception], message: str) -> None:
    """The messages are PyTorch's own."""
    with pytest.raises(error, match=message):
        layer(X)
