"""The tables behind the picture of scales on the page about initialization, made from that page's outputs."""

import re
from collections.abc import Iterator

from tests.page_runner import Page

INIT = "docs/en/init.md"
HEADS = {
    "sizes": "The size of the activations, after this many layers:",
    "gradients": "The size of the gradient, back through this many layers:",
}
ROW = re.compile(r"(none|tanh|ReLU) +(\S+) +(sizes|gradients) +(.+)")


def scale_tables(pages: list[Page]) -> Iterator[str]:
    """One table of sizes, and one of gradients, for each activation and gain."""
    outputs = [
        line for page in pages if page.name == INIT for snippet in page.snippets for line in snippet.outputs()
    ]
    layers = next((line.split()[1:] for line in outputs if line.startswith("layers ")), [])
    rows = [match.groups() for line in outputs if (match := ROW.fullmatch(line))]
    for kind, head in HEADS.items():
        yield head
        yield ""
        yield f"| activation | gain | {' | '.join(layers)} |"
        yield f"|---|---|{'--:|' * len(layers)}"
        for activation, gain, _, values in (row for row in rows if row[2] == kind):
            yield f"| {activation} | {gain} | {' | '.join(values.split())} |"
        yield ""
