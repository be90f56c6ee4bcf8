"""Custom layers: one without parameters, one with parameters, and one that waits for its first batch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import UninitializedParameter

__all__ = ["CenteredLayer", "MyLazyLinear", "MyLinear"]


class CenteredLayer(nn.Module):
    """A layer without parameters: `X - X.mean()`.

    With `dim=None` the mean is taken over all values, so the output for one example depends on the whole
    batch. With `dim=-1` each example is centered by itself.

    Args:
        dim: the dimension or dimensions over which the mean is taken; `None` means all of them.

    Shape:
        - Input: `(*)`, any shape.
        - Output: the same shape.

    Raises:
        IndexError: raised by PyTorch if the input has no dimension `dim`.
        RuntimeError: raised by PyTorch if the input has an integer dtype, because it computes no mean of it.

    Examples:
        ```python
        import torch
        from d2lblocks import CenteredLayer

        print(CenteredLayer()(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])))
        #> tensor([-2., -1.,  0.,  1.,  2.])
        ```
    """

    def __init__(self, dim: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, X: Tensor) -> Tensor:
        return X - X.mean(dim=self.dim, keepdim=True)

    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


class MyLinear(nn.Module):
    """A linear layer written out: `X @ weight.T + bias`.

    It is a miniature [`nn.Linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html)
    with the same names, shapes and initial values, so each can load a state dict of the other.

    Args:
        in_features: size of each input example.
        out_features: size of each output example.
        bias: whether to add a bias; if not, the attribute `bias` is `None`.
        device: the device of the parameters.
        dtype: the dtype of the parameters.

    Shape:
        - Input: `(*, in_features)`, where `*` is any number of leading dimensions, including none.
        - Output: `(*, out_features)`.

    Attributes:
        weight: a parameter of shape `(out_features, in_features)`.
        bias: a parameter of shape `(out_features,)`, or `None`.
            Both are drawn from U(-a, a) with a = 1 / sqrt(in_features).

    Raises:
        RuntimeError: raised by PyTorch if the last dimension of the input is not `in_features`,
            or if the input and the parameters differ in dtype or device.

    Examples:
        ```python
        import torch
        from d2lblocks import MyLinear

        layer = MyLinear(20, 8)
        print(layer)
        #> MyLinear(in_features=20, out_features=8, bias=True)
        print(layer(torch.rand(2, 20)).shape)
        #> torch.Size([2, 8])
        ```
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        self.bias: nn.Parameter | None
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new values for weight and bias."""
        bound = self.in_features**-0.5 if self.in_features else 0.0
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, X: Tensor) -> Tensor:
        return F.linear(X, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
        )


class MyLazyLinear(LazyModuleMixin, MyLinear):
    """A `MyLinear` that takes its input size from the first batch, and becomes a `MyLinear` with it.

    It is built on
    [`LazyModuleMixin`](https://docs.pytorch.org/docs/stable/generated/torch.nn.modules.lazy.LazyModuleMixin.html),
    which PyTorch still calls experimental.

    Args:
        out_features: size of each output example.
        bias: whether to add a bias.
        device: the device of the parameters.
        dtype: the dtype of the parameters.

    Shape:
        - Input: `(*, in_features)`, where the first batch determines `in_features`.
        - Output: `(*, out_features)`.

    Raises:
        RuntimeError: raised by PyTorch from the second batch on, for the same inputs as with `MyLinear`.

    Examples:
        ```python
        import torch
        from d2lblocks import MyLazyLinear

        layer = MyLazyLinear(8)
        print(layer.weight)
        #> <UninitializedParameter>
        Y = layer(torch.rand(2, 20))
        print(layer)
        #> MyLinear(in_features=20, out_features=8, bias=True)
        ```
    """

    cls_to_become = MyLinear
    weight: Any  # an UninitializedParameter, and a Parameter after the first batch
    bias: Any

    def __init__(
        self,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(0, 0, bias=False)
        self.out_features = out_features
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**factory)
        if bias:
            self.bias = UninitializedParameter(**factory)

    def reset_parameters(self) -> None:
        """Draw new values for weight and bias; do nothing as long as they have no shapes."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, X: Tensor) -> None:
        """Take the input size from the first batch. The hook of `LazyModuleMixin` calls this."""
        waits = self.has_uninitialized_params()
        if waits:
            self.weight.materialize((self.out_features, X.shape[-1]))
            if self.bias is not None:
                self.bias.materialize((self.out_features,))
        self.in_features = self.weight.shape[1]  # the weight may have been loaded
        if waits:
            self.reset_parameters()
