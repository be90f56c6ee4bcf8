"""The catalogs: in step with the pages, complete, and written by the rules."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import PoFileError
from mkdocs.utils.yaml import yaml_load

from tools.languages.blocks import SAME
from tools.languages.catalogs import LANGUAGES, Translations, read_catalog, skeleton, with_numbers
from tools.languages.messages import catalogs, template, update
from tools.languages.problems import problems, wording
from tools.pages import ROOT

BOTH = pytest.mark.parametrize("language", LANGUAGES)


@BOTH
def test_every_block_is_translated(language: str) -> None:
    """Each block of each page has a translation, or the test names the blocks that have none."""
    translations = Translations(ROOT / "docs" / language)
    missing = [
        f"{page}: {message.id}"
        for page in catalogs()
        for message in template(page, set())
        if message.id and translations.find(message.id) is None
    ]
    assert missing == []


@BOTH
def test_the_catalogs_are_in_step(language: str) -> None:
    """Every message of a catalog is on a page, in the order of the page, apart from numbers: `make messages`."""
    taken: set[str] = set()
    for page in catalogs():
        catalog = read_catalog(ROOT / "docs" / language / f"{page}.po")
        written = [skeleton(message.id) for message in catalog if message.id]
        assert written == [skeleton(message.id) for message in template(page, taken) if message.id], page


@BOTH
def test_every_translation_keeps_to_the_rules(language: str) -> None:
    """Code, numbers and links are the same; no word of the other Chinese; punctuation and blanks are Chinese."""
    texts = Translations(ROOT / "docs" / language).texts
    assert [
        (english, each) for english, text in texts.items() for each in problems(english, text, language)
    ] == []


@pytest.mark.parametrize(
    ("language", "translation", "problem"),
    [
        ("zh-CN", "调用 `net(X)` 2 次。", ""),
        ("zh-CN", "调用 `net(X)` 两次。", "missing: 2"),
        ("zh-CN", "调用 `net(x)` 2 次。", "missing: `net(X)`"),
        ("zh-CN", "调用`net(X)` 2 次。", "a blank is missing"),
        ("zh-CN", "调用 `net(X)` 2 次.", "western punctuation"),
        ("zh-CN", "调用 `net(X)` ，2 次。", "a blank beside Chinese punctuation"),
        ("zh-CN", "呼叫函式 `net(X)` 2 次。", "函式: write 函数"),
        ("zh-CN", "「调用」`net(X)` 2 次。", "quotation marks"),
        ("zh-TW", "呼叫 `net(X)` 2 次。", ""),
        ("zh-TW", "調用 `net(X)` 2 次。", "調用: write 呼叫"),
        ("zh-TW", "激活函數 `net(X)` 2 次。", ""),
        ("zh-TW", "这个 `net(X)` 2 次。", "characters of the other Chinese"),
        ("zh-TW", "“呼叫”`net(X)` 2 次。", "quotation marks"),
    ],
)
def test_rules_find_what_breaks_them(language: str, translation: str, problem: str) -> None:
    """Each rule refuses a translation that breaks it, and no other."""
    found = list(problems("Call `net(X)` 2 times.", translation, language))
    assert (problem in "; ".join(found)) if problem else found == []


@pytest.mark.parametrize(
    "damage",
    [
        ('msgstr "文件"', 'msgstr "文件'),
        ('msgstr "文件"', 'msgstr "文件\\"'),
        ('msgid "File"', '<<<<<<< HEAD\nmsgid "File"'),
        ('msgstr "文件"', 'msgstr 文件"'),
    ],
)
def test_a_damaged_catalog_is_refused(damage: tuple[str, str], tmp_path: Path) -> None:
    """Babel alone would guess, and the page would show what it guessed."""
    sound = 'msgid "File"\nmsgstr "文件"\n\nmsgid "a \\"b\\""\nmsgstr ""\n"c\\\\"\n'
    path = tmp_path / "page.po"
    path.write_text(sound, "utf-8")
    assert Translations(tmp_path).texts == {"File": "文件", 'a "b"': "c\\"}
    path.write_text(sound.replace(*damage), "utf-8")
    with pytest.raises((ValueError, PoFileError)):
        read_catalog(path)


def test_what_changes_back_is_translated_again(tmp_path: Path) -> None:
    """A changed message keeps its old English and its translation, for the translator and for a second thought."""
    texts = {"mkdocs.yml": "nav:\n  - Home: index.md\n", "docs/en/index.md": "# Title\n\nOne sentence.\n"}

    def written(sentence: str) -> str:
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text.replace("One sentence.", sentence), "utf-8")
        update("zh-TW", tmp_path)
        return (tmp_path / "docs/zh-TW/index.po").read_text("utf-8")

    first = written("One sentence.")
    place = tmp_path / "docs/zh-TW/index.po"
    place.write_text(
        first.replace('"One sentence."\nmsgstr ""', '"One sentence."\nmsgstr "一句話。"'), "utf-8"
    )
    changed = written("One more sentence.")
    assert '#, fuzzy\n#| msgid "One sentence."\nmsgid "One more sentence."\nmsgstr "一句話。"' in changed
    assert Translations(tmp_path / "docs/zh-TW").find("One more sentence.") is None
    assert written("One more sentence.") == changed
    written("One sentence.")
    assert Translations(tmp_path / "docs/zh-TW").find("One sentence.") == "一句話。"


def test_numbers_are_those_of_the_page() -> None:
    """If only numbers have changed, the translation gets the new ones, unless it is not clear where they go."""
    assert with_numbers("共 8 段，跑过 6 段", ["6", "8"], ["7", "9"]) == "共 9 段，跑过 7 段"
    assert with_numbers("5 和 5", ["5", "5"], ["6", "6"]) == "6 和 6"
    assert with_numbers("5 和 5", ["5", "5"], ["5", "6"]) is None
    assert with_numbers("共 8 段，其中 5、5", ["5", "5", "8"], ["5", "6", "9"]) is None


# A term, and its word in zh-CN and in zh-TW; some words are a part that all forms of the word have.
TERMS = {
    "activation function": ("激活函数", "激活函數"), "attribute": ("属性", "屬性"), "batch": ("批", "批次"),
    "bias": ("偏置", "偏差"), "buffer": ("缓冲区", "緩衝區"), "checkpoint": ("检查点", "檢查點"),
    "container": ("容器", "容器"), "device": ("设备", "裝置"), "dimension": ("维", "維"), "file": ("文件", "檔"),
    "function": ("函数", "函"), "gradient": ("梯度", "梯度"), "hidden layer": ("隐藏层", "隱藏層"),
    "hook": ("钩子", "掛勾|hook"), "lazy": ("延后初始化", "延後初始化"), "learning rate": ("学习率", "學習率"),
    "memory": ("内存", "記憶體"), "module": ("模块", "模組"), "optimizer": ("优化器", "優化器"),
    "parameter": ("参数", "參數"), "seed": ("种子", "種子"), "shape": ("形状", "形狀"),
    "state dict": ("状态字典", "狀態字典"), "string": ("字符串", "字串"), "subclass": ("子类", "子類別"),
    "tensor": ("张量", "張量"), "weight": ("权重", "權重"),
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("term", TERMS)
def test_a_term_has_one_word(term: str, language: str) -> None:
    """Where the English has the term, the translation has its word; one in ten sentences may do without."""
    word = dict(zip(LANGUAGES, TERMS[term], strict=True))[language]
    name = re.compile(rf"\b{term}(?:s|es)?\b(?!\.md)", re.I)
    texts = Translations(ROOT / "docs" / language).texts
    found = {english: text for english, text in texts.items() if name.search(SAME.sub(" ", english))}
    without = {english: text for english, text in found.items() if not re.search(word, text)}
    assert len(found) > 5
    assert len(without) <= len(found) / 10, without


FENCES = re.compile(r"^```.*?^```$", re.M | re.S)


@BOTH
def test_the_readme_keeps_to_the_rules(language: str) -> None:
    """As the catalogs do; a link to another language has the name of that language."""
    text = FENCES.sub("", (ROOT / f"README.{language}.md").read_text("utf-8"))
    assert list(wording(re.sub(r"\[\w+\]\(README.*?\)", "", text), language)) == []


def strings(values: Any) -> Iterator[str]:
    """Yield every string in a configuration."""
    if isinstance(values, dict | list):
        for each in values.values() if isinstance(values, dict) else values:
            yield from strings(each)
    elif isinstance(values, str):
        yield values


@BOTH
def test_the_words_of_the_theme_keep_to_the_rules(language: str) -> None:
    """Those of the language's configuration; what stands for a number or a word there may be either."""
    with (ROOT / f"mkdocs.{language}.yml").open("rb") as file:
        config = yaml_load(file)
    del config["extra"]["languages"], config["plugins"]["search"]
    words = [each for each in strings(config) if re.search("[\u4e00-\u9fff]", each)]
    assert len(words) > 30
    found = [(each, problem) for each in words for problem in wording(each, language)]
    assert [each for each in found if "{}" not in each[0] or "blank" not in each[1]] == []


@BOTH
def test_the_readme_has_the_same_code(language: str) -> None:
    """Its fences, links, inline code and numbers are those of the English one, and each leads to the others."""
    english, other = ((ROOT / name).read_text("utf-8") for name in ("README.md", f"README.{language}.md"))
    assert FENCES.findall(other) == FENCES.findall(english)
    for parts in (r"`[^`\n]+`", r"(?<![\w:./-])\d+(?:\.\d+)*(?![\w:/-])"):
        here, there = (Counter(re.findall(parts, FENCES.sub("", text))) for text in (other, english))
        assert here - there <= Counter(["`make serve`", f"`http://127.0.0.1:8000/{language}/`"])
        assert not there - here
    links = re.compile(r"\]\(([^)]+)\)")
    other = other.replace(f".{language}.png", ".png")  # a picture of the site in this language
    switch = {"README.md", *(f"README.{each}.md" for each in LANGUAGES)}
    assert {*links.findall(other)} - switch == {*links.findall(english)} - switch
    assert {*links.findall(other)} & switch == switch - {f"README.{language}.md"}
