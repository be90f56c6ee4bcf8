"""What the checks of this topic observe: which parts of a net run, and how a container was called."""

import re
import traceback
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ...answer import Wrong

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


def run(
    net: nn.Module, parts: Sequence[nn.Module], X: Tensor, what: str
) -> tuple[Any, list[tuple[int, Any]]]:
    """Call a net, and note the number of each part that runs, with its input; `what` is their name, as `blocks`."""
    ran: list[tuple[int, Any]] = []
    handles = [
        part.register_forward_pre_hook(
            lambda _, inputs, number=number: ran.append((number, inputs[0] if inputs else None))
        )
        for number, part in enumerate(parts)
    ]
    try:
        return net(X), ran
    except TypeError as error:
        if "'str' object is not callable" in str(error) and _holds_dict(net):
            raise Wrong(
                f"A loop over an `nn.ModuleDict` gives the names, as with a dictionary: the {what} are its `values()`.",
                came="a str",
                expected="a module",
            ) from None
        raise
    except NotImplementedError as error:
        if found := re.search(r"\[(Module(?:List|Dict))\] is missing", str(error)):
            raise Wrong(
                f"An `nn.{found[1]}` is called, and it has no `forward`: call the {what} in it. (`modules()` gives the "
                "container too.)",
                came=f"a call of an nn.{found[1]}",
                expected=f"calls of the {what}",
            ) from error
        raise
    finally:
        for handle in handles:
            handle.remove()


def _holds_dict(net: nn.Module) -> bool:
    return any(type(each) is nn.ModuleDict for each in net.modules())


def misused(error: TypeError, what: str) -> None:
    """Raise `Wrong` if a container got something that it does not take; `what` is the name of its modules."""
    message = str(error)
    container, method = _called(error)
    kind = "generator" if "genexpr" in message else message.partition(" ")[0]
    if "ModuleList.__init__() takes" in message or "ModuleList.extend should be called" in message:
        why = f"`nn.ModuleList` takes the {what} in one list, not one by one."
    elif "module name should be a string" in message:
        why = 'The names in an `nn.ModuleDict` have to be strings, such as `"0"`.'
    elif "ModuleDict update" in message:
        why = f"`nn.ModuleDict` takes a dictionary, with a name for each module, not a list of {what}."
    elif "is not a Module subclass" not in message or not container:
        return
    elif kind not in ("list", "tuple", "generator", "dict", "set"):
        why = f"`nn.{container}` contains only modules, and gets something else."
    elif method == "append":
        why = f"`append` takes a single module, and gets a {kind}."
    elif container == "Sequential":
        why = f"`nn.Sequential` takes the {what} one by one, not in a {kind}."
    else:
        why = (
            f"`nn.{container}` needs a list of {what}, and gets a list that contains a {kind}: there is one pair of "
            "brackets too many."
        )
    raise Wrong(why, came=message) from None


def _called(error: TypeError) -> tuple[str, str]:
    """The container and the method that raised the error; empty if there is none."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if type(owner := frame.f_locals.get("self")) in CONTAINERS:
            return type(owner).__name__, frame.f_code.co_name
    return "", ""


def unregistered(net: nn.Module, own: Sequence[nn.Module], what: str, at: Any) -> None:
    """Raise `Wrong` if a net does not list the parameters of its own modules."""
    names = {id(each) for each in net.parameters()}
    expected = [each for module in own for each in module.parameters()]
    found = [each for each in expected if id(each) in names]
    if expected and not found:
        if list(net.parameters()):
            why = f"The module has parameters, but not those of the {what}: are they copies?"
        else:
            why = (
                f"The module has no parameters, so the {what} are not trained, saved or moved with it: a module does not "
                "look into a list, a tuple or a dictionary."
            )
        raise Wrong(
            why,
            came=f"{len(list(net.parameters()))} parameters, none of them of the {what}",
            expected=f"the {len(expected)} parameters of the {what}",
            at=at,
            page="modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list",
        )


def times(count: int) -> str:
    """How often: `never`, `once`, `twice`, `3 times`."""
    return ("never", "once", "twice")[count] if count < 3 else f"{count} times"
