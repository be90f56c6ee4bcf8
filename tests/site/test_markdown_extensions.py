"""The site's own Markdown extensions: their results for fences and for names of APIs."""

import importlib
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.site.built_site import DOCS, PAGES, ROOT, html
from markdown import Markdown
from mkdocs.config import load_config

import d2lblocks

TOPICS = [page for page in PAGES if (DOCS / "api" / page).is_file()]


@cache
def markdown() -> Markdown:
    """A Markdown converter with the settings of the site."""
    config = load_config(str(ROOT / "mkdocs.yml"))
    return Markdown(extensions=config["markdown_extensions"], extension_configs=config["mdx_configs"])


def rendered(text: str) -> str:
    return markdown().reset().convert(text)


def caption(header: str, code: str = "pass") -> str:
    """The text above a snippet with these keys."""
    found = re.search(
        r'<span class="filename">(.*?)</span><pre>', rendered(f"```python {header}\n{code}\n```")
    )
    return (
        re.sub(r"</span><span>", " · ", found[1]).removeprefix("<span>").removesuffix("</span>")
        if found
        else ""
    )


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("", ""),
        ('{title="one < two"}', "one &lt; two"),
        ('{raises="ValueError"}', "raises <code>ValueError</code>"),
        ('{gpu="1"}', "needs a GPU"),
        ('{gpu="2"}', "needs 2 GPUs"),
        (
            '{title="a caption" hl_lines="1" gpu="2" raises="a.Error"}',
            "a caption · raises <code>a.Error</code> · needs 2 GPUs",
        ),
    ],
)
def test_a_label_says_what_the_keys_mean(header: str, words: str) -> None:
    """Words after the caption say it; without such keys there are none."""
    assert caption(header) == words


def test_the_source_of_the_library_leads_to_its_api() -> None:
    """Every public name that the snippet defines is a link to its entry."""
    words = caption(
        '{title="d2lblocks/layers.py"}', "def _help(): pass\nclass MyLinear: pass\ndef both(): pass"
    )
    links = '<autoref identifier="d2lblocks.layers.{0}"><code>{0}</code></autoref>'
    named = f"<code>_help</code>, {links.format('MyLinear')}, {links.format('both')}"
    assert words == f"d2lblocks/layers.py · the library's source: {named}"
    private = caption('{title="d2lblocks/serialization/_files.py"}', "def replacing(): pass")
    assert private.endswith("the library's source: <code>replacing</code>")  # it is on no API page


@pytest.mark.parametrize(
    ("code", "outputs"),
    [
        ("print(1)\n#> 1", ["#> 1\n"]),
        ("print(1)\n#> 1\n#> \n#>\nprint(2)\n#> 2", ["#> 1\n#> \n#>\n", "#> 2\n"]),
        ("if True:\n    print(1)\n    #> 1", ["    #> 1\n"]),
        ("x = 1  #> 2", []),
        ("# > 1\n#: 2\n# #> 3", []),
        ('text = """\n#> 1\n"""', []),
        ("print('<b>')\n#> <b> & 'c'", ["#> <b> & 'c'\n"]),
    ],
)
def test_output_is_told_from_code(code: str, outputs: list[str]) -> None:
    """Lines of `#>` are a separate block, comments and strings are not, and no character changes."""
    found = rendered(f"```python\n{code}\n```")
    strip = re.compile(r"<[^>]*>")
    plain = [
        re.sub("&#39;", "'", strip.sub("", block))
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
        for block in (re.findall(r'<span class="go">((?:.|\n)*?\n)</span>', found), [found])[0]
    ]
    assert plain == outputs


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("MLP", "d2lblocks.modules.MLP"),
        ("apply_init(net, X)", "d2lblocks.lazy.apply_init"),
        ("d2lblocks.init", "d2lblocks.init"),
        ("d2lblocks.save", "d2lblocks.serialization.save"),
        ("d2lblocks.serialization.save(net)", "d2lblocks.serialization.save"),
        ("nn.Linear(3, 4)", "generated/torch.nn.Linear.html"),
        ("nn.Module.apply", "generated/torch.nn.Module.html#torch.nn.Module.apply"),
        ("fully_shard", "distributed.fsdp.fully_shard.html"),
        ("DataParallel", "generated/torch.nn.DataParallel.html"),
        ("nn.Parameter", "generated/torch.nn.parameter.Parameter.html"),
        ("F.relu", "generated/torch.nn.functional.relu.html"),
        ("zeros_", "nn.init.html#torch.nn.init.zeros_"),
        ("nn.init.zeros_(bias)", "nn.init.html#torch.nn.init.zeros_"),
        ("state_dict", "generated/torch.nn.Module.html#torch.nn.Module.state_dict"),
        ("net.eval()", "generated/torch.nn.Module.html#torch.nn.Module.eval"),
        ("net.to(device)", "generated/torch.nn.Module.html#torch.nn.Module.to"),
        ("X.to(device)", "generated/torch.Tensor.to.html"),
        (".item()", "generated/torch.Tensor.item.html"),
        ("torch.save(net, path)", "generated/torch.save.html"),
        ('with torch.device("meta")', "tensor_attributes.html#torch.device"),
        ("forward", None),
        ("train", None),
        ("clone", None),
        ("net.hidden", None),
        ("init", None),
        ("d2lblocks.lazy.save", None),
        ("nothing.save", None),
        ("X = X.to(device)", None),
    ],
)
def test_a_name_in_prose_leads_to_its_description(text: str, link: str | None) -> None:
    """Names of the package lead to its API pages, PyTorch's to its documentation; other code is unchanged."""
    code = f"<code>{text}</code>"
    if link is not None and link.startswith("d2lblocks"):
        code = f'<autoref identifier="{link}">{code}</autoref>'
    elif link is not None:
        code = f'<a href="https://docs.pytorch.org/docs/stable/{link}">{code}</a>'
    assert rendered(f"So `{text}` it is.") == f"<p>So {code} it is.</p>"


@pytest.mark.parametrize(
    "text", ["## `MLP`", "[`MLP`](https://example.org)", "[the `MLP` here](https://example.org)"]
)
def test_headings_and_links_are_left_alone(text: str) -> None:
    """A link cannot contain another link."""
    assert "<code>MLP</code>" in rendered(text)
    assert "autoref" not in rendered(text)


@pytest.mark.parametrize("page", TOPICS)
def test_every_public_name_in_prose_is_a_link(page: str, site: Path) -> None:
    """On the built page, it leads to an entry; the strict build checks that the entry exists."""
    content = html(site, page).read_text("utf-8").partition("<article")[2].partition("</article>")[0]
    outside = re.sub(
        r"<(pre|a|h[1-6]|figure|summary)\b.*?</\1>",
        "",
        re.sub(r'<span class="filename">.*?<pre>', "<pre>", content),
        flags=re.S,
    )
    bare = {
        name for name in re.findall(r"<code>(\w+)(?:\(.*?\))?</code>", outside) if name in d2lblocks.__all__
    }
    assert bare == set()
    assert re.search(r'<a class="autorefs[^>]*#d2lblocks\.[^>]*><code>', content)


def test_what_is_called_pytorchs_is_there(site: Path) -> None:
    """Every link to an object in PyTorch's documentation names an object that PyTorch has."""
    hrefs = {
        address
        for page in PAGES
        for address in re.findall(
            r'href="(https://docs\.pytorch\.org/[^"]*)"', html(site, page).read_text("utf-8")
        )
    }
    parts = [urlsplit(address) for address in hrefs]
    names = {
        part.fragment or Path(part.path).stem for part in parts if part.fragment or "/generated/" in part.path
    }
    assert len(names) > 50
    assert sorted(name for name in names if not exists(name)) == []


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of the object named by its first part."""
    first, *others = name.removeprefix("module-").split(".")
    found = importlib.import_module(first)
    for other in others:
        try:
            found = importlib.import_module(f"{found.__name__}.{other}")  # gradcheck: a function hides it
        except ImportError:
            if not hasattr(found, other):
                return False
            found = getattr(found, other)
    return True


def test_details_in_a_list_is_a_block() -> None:
    """A solution can be folded: its text is inside the element, and no tag is inside a paragraph."""
    found = rendered("1. One.\n\n    <details><summary>Two</summary>\n\n    Three.\n\n    </details>")
    tags = ["<li>", "<p>One.</p>", "<details><summary>Two</summary>", "<p>Three.</p>", "</details>", "</li>"]
    assert found.split("\n") == ["<ol>", *tags, "</ol>"]
