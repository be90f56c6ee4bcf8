"""Reading values once."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ...answer import Answer, Wrong
from ...exercise import WrongAnswer

LEVEL = "medium"
PAGE = "devices.md#asynchronous-execution-how-to-measure-time"
TASK = """
`norms(matrices)` takes a list of square matrices of the same size and returns `(X @ X).norm()` for each matrix `X`, as a list of Python numbers.
It reads a value after each product, so Python waits for the GPU as often as there are products.
Change it so that it reads all values together, after the last product.
"""
STUB = """\
import torch


def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm().item())
    return result
"""
SOLUTION = """\
import torch


def norms(matrices):
    result = []
    for X in matrices:
        result.append((X @ X).norm())
    return torch.stack(result).tolist()
"""
HINTS = (
    "Which calls in this function need a value, so that Python has to wait for it?",
    "Read devices.md#asynchronous-execution-how-to-measure-time for the calls that wait; `torch.stack` makes one tensor of a list of tensors without reading them.",
    "Keep the norms as tensors in the list, and return `torch.stack(...)` of the list as numbers, with one call of `tolist`.",
)
AFTER = """
Joining the norms in one tensor, as `torch.stack` does, is one more operation in the queue, so Python waits only once, when it reads them.
Another way, since all matrices have the same size: `S = torch.stack(matrices)` and `(S @ S).norm(dim=(1, 2)).tolist()` need no loop.
"""
READS = {
    "item": "item()",
    "tolist": "tolist()",
    "cpu": "cpu()",
    "numpy": "numpy()",
    "__array__": "numpy",
    "__bool__": "if",
    "__complex__": "complex(...)",
    "__float__": "float(...)",
    "__format__": "format",
    "__index__": "range(...)",
    "__int__": "int(...)",
    "__repr__": "print",
}


def check(answer: Answer) -> None:
    """The norms are right, and the number of reads does not depend on the number of matrices."""
    norms = answer.function("norms")
    counts = []
    for number in 1, 4:
        matrices = [torch.rand(3, 3) for _ in range(number)]
        copies = [each.clone() for each in matrices]
        answer.given = f"{number} matrices of shape (3, 3)" if number > 1 else "one matrix of shape (3, 3)"
        with Reads() as reads:
            try:
                came = norms(matrices)
            except RuntimeError as error:
                if "zero-dimensional" not in str(error):
                    raise
                why = "A norm has no dimension along which `cat` could join it with others."
                raise Wrong(why, came=f"RuntimeError: {error}", expected="one tensor of all norms") from None
        if number == 1 and isinstance(came, float):
            raise Wrong(
                "This is one number: there has to be a list, with one norm for each matrix.",
                came=came,
                expected="a list of one number",
            )
        kind(answer, came)
        expected = [float(torch.linalg.matrix_norm(X @ X)) for X in copies]
        if len(came) != number:
            raise Wrong("There has to be one number for each matrix.", came=came, expected=expected)
        values = torch.tensor(came, dtype=torch.float64)
        why = "The numbers are not the norms `(X @ X).norm()`."
        for name, other in others(copies).items():
            if torch.allclose(values, other.double()):
                why = f"These are {name}, not the norms of the products `X @ X`."
        answer.same(values.float(), torch.tensor(expected), "norms(matrices)", why)
        if not all(map(torch.equal, matrices, copies)):
            raise Wrong("`norms` changes the matrices.", page="modules.md#the-net-changes-its-input-tensor")
        counts.append(reads.names)
    more = counts[1] - counts[0]
    if more:
        [(call, _)] = more.most_common(1)
        raise Wrong(
            f"Python still reads values one at a time, with `{call}`, and waits each time.",
            came=f"{sum(counts[1].values())} reads for 4 matrices",
            expected="1 read",
        )
    on_gpu(answer, norms)
    X = torch.rand(3, 3, dtype=torch.float64)
    answer.given = "one matrix of shape (3, 3) in torch.float64"
    if not math.isclose(norms([X])[0], (X @ X).norm().item(), rel_tol=1e-12):
        raise Wrong(
            "The number has only the digits of `float32`: the norm of a `float64` matrix has more. A tensor that "
            "collects the norms needs their dtype.",
            came=norms([X]),
            expected=[(X @ X).norm().item()],
        )


def kind(answer: Answer, came: Any) -> None:
    """Raise `Wrong` unless it is a list of numbers."""
    if isinstance(came, Tensor) or (
        isinstance(came, list | tuple) and any(isinstance(each, Tensor) for each in came)
    ):
        raise Wrong(
            "The result still contains tensors, so whoever uses it waits for each: `tolist` on one tensor gives a list "
            "of numbers.",
            came=came,
            expected="a list of Python numbers",
        )
    answer.kind(came, "norms(matrices)", list, "a list")
    if came and all(isinstance(each, list) for each in came):
        why = "The norm of a matrix is one number: here, it was taken over only one of the two dimensions."
        raise Wrong(why, came=came, expected="a list of floats")
    if not all(isinstance(each, float) for each in came):
        raise Wrong("Each element of the list has to be a `float`.", came=came, expected="a list of floats")


def others(matrices: list[Tensor]) -> dict[str, Tensor]:
    """What people compute instead, with its name."""
    products = [X @ X for X in matrices]
    return {
        "the norms of the matrices": torch.stack([X.norm() for X in matrices]),
        "the norms of `X * X`": torch.stack([(X * X).norm() for X in matrices]),
        "the sums": torch.stack([X.sum() for X in products]),
    }


def on_gpu(answer: Answer, norms: Callable[..., Any]) -> None:
    """Raise `Wrong` if a norm is copied to the CPU before all are read; the meta device takes the place of a GPU."""
    answer.given = "4 matrices of shape (3, 3) on the meta device, which takes the place of a GPU"
    matrices = [torch.empty(3, 3, device="meta") for _ in range(4)]
    with Last() as last:
        try:
            norms(matrices)
        except (RuntimeError, NotImplementedError) as error:
            if "copy out of meta" not in str(error) and "is not on the expected device" not in str(error):
                return  # a way to read that the meta device does not know
            why = "Each norm is copied into a tensor on the CPU, and Python waits each time: the norms of matrices on a GPU belong into a tensor there."
            raise Wrong(
                why,
                came=f"{type(error).__name__}: {error}",
                expected="a tensor on the device of the matrices",
            ) from None
        except Exception:
            if last.only <= {"stack", "cat", "clone", "detach", "contiguous"}:
                why = "The matrices are copied to the CPU, and the products are computed there: read the norms, after the last product."
                raise Wrong(why, came="matrices on the CPU", expected="matrices on their device") from None


class Last(TorchFunctionMode):
    """Ends the call at the first read from the meta device, where there are no values."""

    def __init__(self) -> None:
        super().__init__()
        self.only: set[str] = set()  # the functions called before

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if (name in READS or name == "to") and args and isinstance(args[0], Tensor) and args[0].is_meta:
            raise StopIteration
        self.only.add(name)
        return function(*args, **(kwargs or {}))


class Reads(TorchFunctionMode):
    """Counts the calls for which Python waits on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.copied: list[Any] = []  # tensors that were copied to the CPU, where no read waits

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if any(each is one for each in tree_leaves((args, kwargs)) for one in self.copied):
            return self._note(function(*args, **(kwargs or {})))
        if name in READS:
            self.names[READS[name]] += 1
        elif name == "to" and "cpu" in map(str, (*args[1:], *(kwargs or {}).values())):
            self.names['to("cpu")'] += 1
        elif function in (torch.tensor, torch.as_tensor) and isinstance(args[0], list | tuple):
            self.names["torch.tensor([...])"] += sum(isinstance(each, Tensor) for each in args[0])
        result = function(*args, **(kwargs or {}))
        return self._note(result) if name in ("cpu", "to") else result

    def _note(self, result: Any) -> Any:
        """Remember the tensors in a result."""
        if isinstance(result, Iterator):
            return iter(self._note(list(result)))
        self.copied += [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        return result


WRONG = (
    WrongAnswer(
        "the products are computed there",
        changes={"for X in matrices": "for X in torch.stack(matrices).cpu()"},
    ),
    WrongAnswer(
        "one at a time, with `item()`",
        changes={"torch.stack(result).tolist()": "[each.item() for each in torch.stack(result)]"},
    ),
    WrongAnswer(
        "one at a time, with `float(...)`",
        changes={"torch.stack(result).tolist()": "[float(each) for each in result]"},
    ),
    WrongAnswer(
        "one at a time, with `torch.tensor([...])`", changes={"torch.stack(result)": "torch.tensor(result)"}
    ),
    WrongAnswer("one at a time, with `cpu()`", changes={".norm())": ".norm().cpu())"}),
    WrongAnswer("could join", changes={"stack": "cat"}),
    WrongAnswer("only one of the two", changes={".norm()": ".norm(dim=0)"}),
    WrongAnswer(
        "into a tensor on the CPU",
        changes={
            "result = []": "result = torch.zeros(len(matrices))",
            "for X in matrices": "for i, X in enumerate(matrices)",
            "result.append((X @ X).norm())": "result[i] = (X @ X).norm()",
            "torch.stack(result)": "result",
        },
    ),
    WrongAnswer("has only the digits of `float32`", changes={"(result).tolist": "(result).float().tolist"}),
    WrongAnswer("still contains tensors", changes={".tolist()": ""}),
    WrongAnswer("the norms of the matrices", changes={"(X @ X)": "X"}),
)
