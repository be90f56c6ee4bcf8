"""Entries of the pages and findings of `diagnose` lead to each other."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent, indent
from typing import NamedTuple

import pytest

from d2lblocks.diagnosis import _rules
from d2lblocks.diagnosis._rules import RULES
from tests.page_runner import Page, Program, Snippet
from tools.generate.entries import parts
from tools.pages import project, topics

TOPICS = {page.short: page for page in topics(project().pages())}
TARGET = r"diagnosis\.md(?:#with-a-loss-and-an-optimizer)?"  # where to read how to find it
LINE = re.compile(rf" *\[`diagnose`\]\({TARGET}\) reports this as (`[a-z-]+`(?: or `[a-z-]+`)*)\.")
# Places that also show the mistake of a rule.
FURTHER = {
    ("layers.md#parameters-in-a-python-list", "unregistered"),
    ("layers.md#the-constant-is-not-cast-or-moved-a-plain-tensor-attribute", "constant"),
    ("devices.md#the-constant-stays-on-the-cpu-a-plain-attribute", "constant"),
    ("devices.md#cannot-convert-a-mps-tensor-to-float64-dtype", "mixed-dtype"),
    ("parameters.md#cant-optimize-a-non-leaf-tensor", "not-a-parameter"),
    ("serialization.md#tied-weights-are-no-longer-tied-after-loading", "same-memory"),
}


class Check(NamedTuple):
    """A call of `diagnose` with the mistake of an entry.

    Attributes:
        place: the page and the anchor of the entry.
        code: the code of the finding.
        call: the call, with names of the page and of `given`.
        after: the number of snippets of the entry that run before it.
        given: what the page only describes.
    """

    place: str
    code: str
    call: str
    after: int = 1
    given: str = ""


CHECKS = [
    Check("modules.md#unhashable-type-a-module-as-a-dataclass", "unhashable", "diagnose(Fields(20), X)"),
    Check("modules.md#optimizer-got-an-empty-parameter-list-layers-in-a-python-list", "unregistered", "diagnose(net, X)"),
    Check("modules.md#a-constant-is-not-saved-cast-or-moved-with-the-net", "constant", "diagnose(net, X)"),
    Check("modules.md#a-layer-used-twice-in-a-container-runs-only-once", "runs-once", "diagnose(ChildrenSequential(double, double), ones)"),
    Check("modules.md#a-layer-does-not-learn-because-forward-creates-it", "built-in-forward", "diagnose(net, X)"),
    Check("modules.md#setattr-with-a-dotted-name-does-not-replace-a-layer", "dotted-name", "diagnose(net, X)"),
    Check("modules.md#mat1-and-mat2-must-have-the-same-dtype-a-batch-from-numpy", "mixed-dtype", "diagnose(net, batch)"),
    Check("modules.md#the-net-changes-its-input-tensor", "input-changed", "diagnose(Halved(), ones)"),
    Check("modules.md#the-same-input-gives-a-different-output-every-time", "in-eval", "diagnose(net, X, loss=lambda Y: Y.sum())"),
    Check(
        "modules.md#the-same-input-gives-a-different-output-every-time",
        "random-in-eval",
        "diagnose(Drops(), X)",
        after=2,
        given="""
            class Drops(nn.Module):
                def forward(self, X):
                    return F.dropout(X)
        """,
    ),
    Check("modules.md#maximum-recursion-depth-exceeded-a-child-that-holds-its-parent", "cycle", "diagnose(Parent(Child), X)"),
    Check("parameters.md#freezing-parameters", "frozen", "diagnose(net, X, loss=lambda Y: Y.sum())"),
    Check("parameters.md#finding-tensors-that-use-the-same-memory-shared_names", "same-memory", "diagnose(pair, torch.ones(1, 3))", after=2),
    Check(
        "parameters.md#the-gradient-is-wrong-and-there-is-no-error",
        "data-write",
        "diagnose(Writes(4, 4), X)",
        given="""
            class Writes(nn.Linear):
                def forward(self, X):
                    Y = super().forward(X)
                    self.weight.data.fill_(20.0)
                    return super().forward(Y)
        """,
    ),
    Check("parameters.md#a-replaced-layer-does-not-learn", "optimizer", "diagnose(layer, torch.rand(2, 2), optimizer=optimizer)"),
    Check(
        "parameters.md#cant-optimize-a-non-leaf-tensor",
        "not-a-parameter",
        "diagnose(Doubled(), torch.rand(2).double())",
        given="""
            class Doubled(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.rand(2)).double()

                def forward(self, X):
                    return X * self.weight
        """,
    ),
    Check("parameters.md#a-frozen-layer-still-trains-require_grad", "misspelt", "diagnose(net, X)"),
    Check("parameters.md#layer-3-makes-one-layer-not-three", "one-layer-many-names", "diagnose(net, X)"),
    Check(
        "init.md#vanishing-and-exploding-activations",
        "scale",
        "diagnose(deep, torch.randn(9, 256))",
        given="""
            deep = nn.Sequential(*(layer for _ in range(20) for layer in (nn.Linear(256, 256, bias=False), nn.ReLU())))
        """,
    ),
    Check("init.md#the-hidden-neurons-stay-equal-constant-weights", "equal-units", "diagnose(pair, X)"),
    Check("init.md#the-row-of-padding_idx-is-not-zero", "padding-row", "diagnose(embedding, torch.tensor([0, 1]))"),
    Check(
        "lazy.md#apply_init",
        "still-lazy",
        "diagnose(Forgets(), X)",
        given="""
            class Forgets(nn.Linear):
                def __init__(self):
                    super().__init__(20, 3)
                    self.forgotten = nn.LazyLinear(3)
        """,
    ),
    Check("layers.md#gradients-are-none-data-in-forward", "data-read", "diagnose(net, X)", after=2),
    Check(
        "layers.md#parameters-in-a-python-list",
        "unregistered",
        "diagnose(Scales(), X[:, :3])",
        given="""
            class Scales(Hidden):
                def forward(self, X):
                    return X * self.scales[0] * self.scales[1]
        """,
    ),
    Check(
        "layers.md#nnparametert-001-is-not-a-parameter",
        "not-a-parameter",
        "diagnose(Uses(), X)",
        given="""
            class Uses(Scaled):
                def forward(self, X):
                    return X @ self.weight.T
        """,
    ),
    Check("layers.md#the-loss-is-nan-from-the-first-step-a-weight-that-was-never-filled", "nan", "diagnose(net, X)"),
    Check("layers.md#the-constant-is-not-cast-or-moved-a-plain-tensor-attribute", "constant", "diagnose(Shifted(), X)"),
    Check("layers.md#the-positions-are-wrong-in-16-bits-a-rounded-buffer", "rounded-buffer", "diagnose(Rounded().bfloat16(), 2048)"),
    Check("layers.md#trying-to-backward-through-the-graph-a-second-time-a-state-that-is-kept", "kept-graph", "diagnose(Cell(), X)"),
    Check("serialization.md#unexpected-keys-in-state_dict-a-buffer-that-was-none", "filled-at-first-call", "diagnose(Centered(), X)"),
    Check("serialization.md#tied-weights-are-no-longer-tied-after-loading", "same-memory", "diagnose(tied, torch.arange(5))"),
    Check(
        "serialization.md#tied-weights-are-no-longer-tied-after-loading",
        "tie-lost",
        "diagnose(loaded, torch.arange(5), ties=[('0.weight', '1.weight')])",
        given="""
            loaded = copy.deepcopy(tied)
            state = {name: tensor.clone() for name, tensor in tied.state_dict().items()}
            loaded.load_state_dict(state, assign=True)
        """,
    ),
    Check("devices.md#cannot-convert-a-mps-tensor-to-float64-dtype", "mixed-dtype", "diagnose(nn.Linear(3, 1), batch)"),
    Check("devices.md#expected-all-tensors-to-be-on-the-same-device", "mixed-device", "diagnose(nn.Linear(3, 1, device='meta'), torch.rand(2, 3))"),
    Check(
        "devices.md#expected-all-tensors-to-be-on-the-same-device-at-optimizerstep",
        "optimizer-device",
        "diagnose(moved, torch.ones(2, 3), optimizer=their)",
        given="""
            moved, their = resumed('cpu')
            their.state[moved.weight] = optimizer.state[net.weight]
        """,
    ),
    Check(
        "devices.md#the-constant-stays-on-the-cpu-a-plain-attribute",
        "constant",
        "diagnose(Shifts(), torch.ones(2, 3))",
        given="""
            class Shifts(Constant):
                def forward(self, X):
                    return X + self.plain
        """,
    ),

]  # fmt: skip


TOLD_AT = {(each.place, each.code) for each in CHECKS}


def place(page: Page, number: int) -> str:
    """The page and the anchor of the heading above a line."""
    heading = [each for each in page.headings() if each.line < number][-1]
    return f"{page.short}#{heading.anchor}"


def told() -> Iterator[tuple[str, str]]:
    """Yield the place and the code of each line on the pages that names findings."""
    for page in TOPICS.values():
        for number, line in enumerate(page.text_lines(), 1):
            if match := LINE.fullmatch(line):
                yield from ((place(page, number), code) for code in re.findall("`([a-z-]+)`", match[1]))


def test_a_finding_links_to_a_heading() -> None:
    """Each place in the source of the rules is on the site."""
    files = Path(_rules.__file__).parent.glob("*.py")
    links = {
        link for file in files for link in re.findall(r'"(\w+\.md(?:#[^"]*)?)"', file.read_text("utf-8"))
    }
    assert links >= {rule.page for rule in RULES.values()}
    pages = [page for page in project().pages() if page.name.startswith("docs/")]
    there = {page.short for page in pages}
    there |= {f"{page.short}#{heading.anchor}" for page in pages for heading in page.headings()}
    assert links - there == set()


def test_an_entry_names_the_findings_that_link_to_it() -> None:
    """The entry of each rule has the line, and no other place has one. Each line is checked below."""
    rules = {(rule.page, rule.code) for rule in RULES.values() if "#" in rule.page}
    elsewhere = {each for each in rules if not each[0].startswith("diagnosis.md")}
    lines = Counter(told())
    assert set(lines) == elsewhere | FURTHER
    assert set(lines) == TOLD_AT
    assert max(lines.values()) == 1


def test_the_lines_are_all_alike() -> None:
    """No sentence says it in other words, which the test above would not find.

    If the net and its input are not enough, the link leads to the section on a loss and an optimizer.
    """
    lines = [line for page in TOPICS.values() for line in page.text_lines()]
    likely = [line for line in lines if "`diagnose`" in line and "reports this" in line]
    assert [line for line in likely if not LINE.fullmatch(line)] == []
    more = {each.code for each in CHECKS if re.search("(loss|optimizer|ties)=", each.call)}
    assert [
        line for line in likely if ("#with-a-loss" in line) != any(f"`{code}`" in line for code in more)
    ] == []


def with_checks(page: Page, checks: list[Check]) -> list[Snippet]:
    """The snippets of a page up to the last check, and a snippet for each check at its place."""
    sections = {f"{page.short}#{heading.anchor}": (heading.line, end) for heading, end, _ in parts(page)}
    added = []
    for number, each in enumerate(checks):
        start, end = sections[each.place]
        before = [snippet for snippet in page.snippets if start < snippet.line < end][each.after - 1]
        code = [
            "def _found():",
            "    from d2lblocks import diagnose",
            *indent(dedent(each.given), "    ").splitlines(),
            f"    return {each.call}",
            'print(*(f"{each.code} {each.page}" for each in _found()), sep="\\n")',
        ]
        added.append(Snippet(str(number), page.name, before.line, page.name, code, indent=0))
    last = max(snippet.line for snippet in added)
    shown = [snippet for snippet in page.snippets if snippet.line <= last]
    return sorted(shown + added, key=lambda snippet: snippet.line)  # a check comes after its snippet


@pytest.mark.parametrize("short", sorted({each.place.partition("#")[0] for each in CHECKS}))
def test_an_entry_names_what_diagnose_finds(short: str, tmp_path: Path) -> None:
    """The net of the entry has this finding, which links to the entry. The page runs in its own process."""
    page, checks = TOPICS[short], [each for each in CHECKS if each.place.startswith(f"{short}#")]
    snippets = with_checks(page, checks)
    program = Program(snippets, page.lines, tmp_path / "run", 60, {}, project().hidden_folders)
    try:
        program.outcome(snippets[-1])
    finally:
        program.close()
    for number, each in enumerate(checks):
        outcome = program.outcomes[str(number)]
        assert outcome.troubles == []
        found = [line.split(" ") for line in outcome.printed().splitlines()]
        links = [link for code, link in found if code == each.code]
        assert links, f"{each.call} gives {found}, not {each.code}"
        assert each.place in links or (each.place, each.code) in FURTHER
