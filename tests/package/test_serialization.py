"""Nested values in files: values that come back, and values that are refused."""

import argparse
import collections
import functools
import os
import pathlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from d2lblocks import load, load_parameters, save, save_parameters, serialization
from tests.package.saved_states import same, tensors

pytestmark = pytest.mark.usefixtures("folder")


OTHERS = [
    None,
    True,
    2**2038,
    torch.float32,
    torch.Size([2]),
    torch.device("cpu"),
    collections.Counter("aab"),
]
PLAIN = st.floats() | st.complex_numbers() | st.text() | st.sets(st.integers(-9, 9)) | st.sampled_from(OTHERS)
KEYS = st.text() | st.integers(-(2**99), 2**99) | st.tuples(st.booleans())
NESTED = st.recursive(
    PLAIN | tensors(),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(KEYS, inner, dict_class=collections.OrderedDict)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(nested=NESTED)
def test_values_come_back(nested: Any) -> None:
    """All nested values come back, and torch itself can read the file too."""
    save(nested, "x.pt")
    assert same(load("x.pt"), nested)
    assert same(torch.load("x.pt", weights_only=True), nested)


def test_tensors_share_what_they_shared() -> None:
    """Shared memory, shared objects and lists containing themselves are kept. The originals do not change."""
    x = torch.zeros(4)
    both: list[Any] = [x, x, x[1:3], x.view(2, 2)]
    both.append(both)
    save(both, "x.pt")
    a, b, part, view, again = loaded = load("x.pt")
    a.fill_(1)
    assert a is b
    assert again is loaded
    assert (part.tolist(), view.tolist()) == ([1, 1], [[1, 1], [1, 1]])
    assert both[0] is x
    assert both[4] is both


@pytest.mark.parametrize("wrap", [Tensor.detach, nn.Parameter])
def test_a_part_is_stored_without_the_rest(wrap: Callable[[Tensor], Tensor]) -> None:
    """The whole tensor would take 4 MB."""
    part = wrap(torch.rand(1000, 1000)[3, :7])
    save([part], "x.pt")
    assert os.path.getsize("x.pt") < 5000
    assert same(load("x.pt"), [part])


def test_parts_of_several_tensors_are_stored_without_the_rest() -> None:
    """Each whole tensor would take 4 MB. If two parts of one tensor are saved, the whole is written once,
    because the parts may share values.
    """
    parts = [torch.rand(1000, 1000)[3, :7], torch.rand(1000, 1000)[:, 5]]
    save(parts, "x.pt")
    assert os.path.getsize("x.pt") < 10_000
    assert same(load("x.pt"), parts)
    whole = torch.rand(1000, 1000)
    save([whole[1], whole[:2], *parts], "x.pt")
    assert 4_000_000 < os.path.getsize("x.pt") < 4_020_000
    row, rows, *_ = load("x.pt")
    row.fill_(2)
    assert rows[1].tolist() == row.tolist()


def test_a_frozen_part_stays_frozen() -> None:
    """A frozen Parameter stays frozen, even if it is stored without the rest of its tensor."""
    for requires_grad in (False, True):
        save(nn.Parameter(torch.ones(1000)[:2], requires_grad=requires_grad), "x.pt")
        assert load("x.pt").requires_grad is requires_grad


def test_graphs_are_not_saved() -> None:
    """Computed tensors come back as values, and leaves stay trainable. A state dict keeps its versions."""
    w = torch.ones(2, requires_grad=True)
    state = nn.Linear(2, 1).state_dict()
    save([w, w * 2, w[:1], state], "x.pt")
    *loaded, again = load("x.pt")
    assert [t.requires_grad for t in loaded] == [True, False, False]
    with torch.no_grad():
        loaded[0].fill_(5)
    assert [t.tolist() for t in loaded] == [[5, 5], [2, 2], [5]]
    assert again._metadata == state._metadata


def test_tensors_go_to_the_device() -> None:
    """The default is the CPU."""
    save(torch.ones(2), "x.pt")
    assert (load("x.pt").device.type, load("x.pt", device="meta").device.type) == ("cpu", "meta")
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        load("x.pt", device="gpu")


def tagged(tag: Any) -> Tensor:
    x = torch.ones(2)
    x.tag = tag  # type: ignore[attr-defined]
    return x


END = "expected tensors, numbers, strings, None, and lists, tuples and dicts of them"
Point = collections.namedtuple("Point", "x y")
REFUSED: list[tuple[Any, str]] = [
    ({"metrics": [np.float32(1)]}, rf"numpy.float32 at \['metrics'\]\[0\]: {END}$"),
    ([{"a": (1, np.ones(2))}], rf"numpy.ndarray at \[0\]\['a'\]\[1\]: {END}$"),
    ({pathlib.PurePosixPath("a"): 1}, rf"pathlib\S*.PurePosixPath at \[PurePosixPath\('a'\)\]: {END}$"),
    (argparse.Namespace(lr=0.1), rf"argparse.Namespace: {END}$"),
    ([nn.Linear(2, 1)], rf"torch.nn.modules.linear.Linear at \[0\]: {END}; save_parameters saves a net$"),
    ((1, lambda: 1), rf"function at \[1\]: {END}$"),
    (collections.defaultdict(list), rf"collections.defaultdict: {END}$"),
    (functools.partial(len), rf"functools.partial: {END}$"),
    (Point(1, 2), rf"\S*test_serialization.Point: {END}$"),
    (nn.LazyLinear(3).state_dict(), rf"torch.nn.parameter.UninitializedParameter at \['weight'\]: {END}$"),
    ({1, frozenset()}, rf"frozenset: {END}$"),
    ([b""], rf"bytes at \[0\]: {END}$"),
    ([2**2040], rf"int at \[0\]: {END}$"),
    ([2**2039], rf"int at \[0\]: {END}$"),
    ([tagged(range(3))], rf"range at \[0\].tag: {END}$"),
]


@pytest.mark.parametrize(("nested", "message"), REFUSED)
def test_what_could_not_be_loaded_is_not_saved(nested: Any, message: str) -> None:
    """The error says what it is and where. torch would save most of these values, but refuse to load them."""
    save(1, "x.pt")
    with pytest.raises(TypeError, match=f"^cannot save {message}"):
        save(nested, "x.pt")
    assert load("x.pt") == 1


class Payload:
    def __reduce__(self) -> Any:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("allowed", ["0", "1"])
def test_no_code_of_a_file_is_run(new: bool, allowed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the function that the file would have called. A variable that allows torch to run it
    is ignored.
    """
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", allowed)
    torch.save({"x": [torch.ones(2), Payload()]}, "x.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(
        RuntimeError, match=r"^cannot load x.pt: it holds (posix|nt).mkdir, and only tensors,"
    ):
        load("x.pt")
    assert not os.path.exists("harm")
    code = Path(serialization.__file__).read_text("utf-8")
    assert re.search(r"^\s*(import|from) \w*(pickle|dill|shelve|marshal)", code, re.M) is None


@pytest.mark.parametrize("read", [load, partial(load_parameters, nn.Linear(2, 1))])
def test_a_file_that_cannot_be_read_is_named(read: Callable[..., Any]) -> None:
    """The file is truncated, of an unknown kind, or missing."""
    save_parameters(nn.Linear(2, 1), "x.st")
    save(torch.ones(3), "x.pt")
    whole = Path("x.pt" if read is load else "x.st").read_bytes()
    for content in (b"\xfe\xff" * 99, whole[:7], whole[: len(whole) // 2], whole[:-1]):
        Path("bad").write_bytes(content)
        with pytest.raises(RuntimeError, match=r"^cannot load bad: it is .*damaged"):
            read("bad")
    for path, kind in (("none", FileNotFoundError), (".", IsADirectoryError)):
        with pytest.raises(kind) as caught:
            read(path)
        assert caught.value.filename == path
