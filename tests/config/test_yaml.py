from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headgate.api import ConfigError
from headgate.config import yaml as strict
from headgate.config.yaml import MAX_DEPTH, key_path, read_yaml


def value(text: str):
    return read_yaml(text, file="f.yaml").value


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, file="f")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "word",
    [
        "on",
        "off",
        "yes",
        "no",
        "y",
        "n",
        "On",
        "NO",
        "22:22",
        "2026-01-01",
        "0777x",
        "1_000",
        "0b11",
        ".inf",
        "-.inf",
        ".nan",
        "1e999",
        "0o8",
        "0xg",
        "=",
        ".",
    ],
)
def test_what_yaml_1_1_would_change_stays_a_text(word):
    assert value(f"a: {word}") == {"a": word}


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("1", 1), ("-7", -7), ("+7", 7), ("0777", 777), ("0o17", 15), ("0xfF", 255), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0),
     ("1e3", 1000.0), ("true", True), ("True", True), ("FALSE", False), ("null", None), ("~", None), ("", None)],
)  # fmt: skip
def test_scalars_of_the_core_schema(word, meaning):
    found = value(f"a: {word}")["a"]
    assert found == meaning
    assert type(found) is type(meaning)


def test_quoted_scalars_are_texts():
    assert value("a: '1'\nb: \"true\"\nc: ''\nd: |\n  1\n") == {"a": "1", "b": "true", "c": "", "d": "1\n"}


def test_numbers_too_long_to_be_meant_stay_texts():
    assert value(f"a: {'1' * 5000}") == {"a": "1" * 5000}


def test_keys_are_texts_as_written():
    assert list(value("1: a\non: b\ntrue: c\n1.10: d")) == ["1", "on", "true", "1.10"]


def test_places_of_keys_and_values_and_how_scalars_were_written():
    document = read_yaml("a:\n  b: [x,\n    1.10]\n", file="f")
    assert document.keys["a", "b"] == (2, 3)
    assert document.places["a", "b"] == (2, 6)
    assert document.places["a", "b", 1] == (3, 5)
    assert document.texts == {("a", "b", 1): "1.10"}
    assert document.value == {"a": {"b": ["x", 1.1]}}


def test_a_problem_stands_at_the_nearest_place_there_is():
    document = read_yaml("a:\n  b: 1\n", file="f")
    assert str(document.problem(("a", "b", "c"), "no")) == "f:2:6: a.b.c: no"
    assert str(document.problem(("x",), "no", at_key=True)) == "f:1:1: x: no"
    assert str(read_yaml("", file="f").problem((), "empty")) == "f: empty"


def test_key_paths_read_as_an_admin_says_them():
    assert key_path(("jobs", "web", "steps", 0, "name")) == "jobs.web.steps[0].name"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: a: the key `a` stands here twice (it was first written in line 1)"),
        ("a: {b: 1, 'b': 2}", "f:1:11: a.b: the key `b` stands here twice (it was first written in line 1)"),
        ("a: &x 1", "f:1:4: anchors (`&x`) are refused (write the value again where it is needed)"),
        ("<<: {a: 1}", "f:1:1: merge keys (`<<`) are refused (write the keys where they are needed)"),
        ("a: !!python/object:os.system x", 'f:1:4: tags (`!…`) are refused (put a text in quotes instead, such as "!wip")'),
        ("a: !x {}", 'f:1:4: tags (`!…`) are refused (put a text in quotes instead, such as "!wip")'),
        ("a: 1\n---\nb: 2", "f:2:1: a second document starts here (put it into a file of its own)"),
        ("%YAML 1.1\n---\na: 1", "f:1:1: directives (`%…`) are refused (files are YAML 1.2 without any)"),
        ("%TAG ! tag:x,2000:\n---\na: 1", "f:1:1: directives (`%…`) are refused (files are YAML 1.2 without any)"),
        ("? [a]\n: b", "f:1:3: a key must be a text (put it in quotes if it starts with `[` or `{`)"),
        ("a: \x07", "f:1:4: the character U+0007 is not allowed"),
        ("x\n: \ud800", "f:2:3: half of a surrogate pair is no character"),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_what_to_do(text, said):
    assert said in problems(text)


@pytest.mark.parametrize("text", ["a: *x", "a: &x [*x]", "&x a: *x", "*a : 1"])
def test_aliases_are_refused(text):
    assert any("aliases" in problem for problem in problems(text))


def test_a_quoted_merge_key_is_a_key():
    assert value("'<<': 1") == {"<<": 1}


def test_all_faults_of_the_form_are_told_at_once():
    assert len(problems("a: &x 1\nb: *x\na: !t {c: 1, c: 2}\nd: [!t 1]")) == 6


def test_keys_below_a_doubled_key_are_not_called_doubled():
    assert len(problems("a: {b: 1}\na: {b: 2}")) == 1


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("a: b: c", "f:1:5", "a second `:`"),
        ("a: [1,\n", "f:2:1", "expected a value"),
        ("a: 'x", "f:1:6", "ends inside a quoted text"),
        ("a:\n  b: 1\n c: 2", "f:3:2", "indentation"),
    ],
)
def test_syntax_errors_are_in_an_admins_words(text, where, words):
    (problem,) = problems(text)
    assert problem.startswith(where)
    assert words in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("branches: [*]", 'f:1:12: a text that starts with * needs quotes (such as "*")'),
        ("branches: *", 'f:1:11: a text that starts with * needs quotes (such as "*")'),
        ("branches:\n  - **/x\n", 'f:2:5: a text that starts with * needs quotes (such as "*")'),
        ("branches: [!wip]", 'f:1:12: a text that starts with ! needs quotes (such as "!wip")'),
        ("branches: [!wip/x, a]", 'f:1:12: branches: tags (`!…`) are refused (put a text in quotes instead, such as "!wip")'),
        ("branches: !wip", 'f:1:11: tags (`!…`) are refused (put a text in quotes instead, such as "!wip")'),
        ("a: [*x]", 'f:1:5: a: aliases (`*name`) are refused (write the value again where it is needed; a pattern needs quotes, such as "*.md")'),
        ("a: @x", "f:1:4: a text that starts with @ needs quotes"),
        ("a: `x y`", "f:1:4: a text that starts with ` needs quotes"),
        ("a: %x", "f:1:4: a text that starts with % needs quotes"),
        ("a: &", "f:1:4: a text that starts with & needs quotes"),
        ("\ta: 1", "f:1:1: this is a tab; indentation needs spaces"),
        ("a:\n\tb: 1", "f:2:1: this is a tab; indentation needs spaces"),
        ("a:\n  b: 1\n\tc: 2", "f:3:1: this is a tab; indentation needs spaces"),
        ("a: - b", "f:1:4: a list starts on a line of its own, below its key"),
        ("a: b\nfoo\nbar: 1", "f:2:1: expected a key with `:` after it"),
        ("s:\n- run: |\n  make\n- run: x", "f:3:3: the text of `run: |` has to be indented deeper than its key (start each of its lines with 4 spaces)"),
        ("s:\n  - run: >- # all\n\n    make a\n    all: b", "f:4:5: the text of `run: >-` has to be indented deeper than its key (start each of its lines with 6 spaces)"),
        ("a: 1\n---\na: 2\n---\na: 3", "f:2:1: a second document starts here (put it into a file of its own)"),
    ],
)  # fmt: skip
def test_what_people_write_on_their_first_day_is_told_once_with_what_to_write(text, said):
    assert problems(text) == [said]


def test_a_word_without_quotes_is_not_repeated():
    """It may be a secret, which is to stand in no log."""
    for first in "*!@`%":
        assert "hunter2" not in problems(f"secret: [{first}/hunter2]")[0]


def test_depth_is_limited():
    assert value("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert "levels deep" in problems("[" * (MAX_DEPTH + 1))[0]


def test_length_is_limited(monkeypatch):
    monkeypatch.setattr(strict, "MAX_CHARACTERS", 10)
    assert "longer than 10" in problems("a: " + "x" * 10)[0]


def test_without_libyaml_the_answer_is_the_same(monkeypatch):
    monkeypatch.setattr(strict, "_PARSER", yaml.SafeLoader)
    assert value("a: [1.10, on]\nb: {c: ~}") == {"a": [1.1, "on"], "b": {"c": None}}
    assert "twice" in problems("a: 1\na: 2")[0]


@settings(max_examples=300, deadline=None)
@given(st.text())
@example("? ")
@example("- - - ? [")
@example("{a: &b, *b : c}")
@example("!<tag:yaml.org,2002:int> 1")
@example("%YAML 9.9\n--- a")
@example("\ufeff")
def test_any_text_is_read_or_refused_with_a_place(text):
    check_any(text)


YAML_PIECES = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            ": ",
            ":",
            "\n",
            "  ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "&x ",
            "*x ",
            "!t ",
            "'",
            '"',
            "? ",
            "|\n",
            "<<",
            "---\n",
            "...\n",
            "%TAG",
            "#",
            "1.10",
            "\t",
            "\\",
            "\x85",
            "é",
        ]
    )
).map("".join)


@settings(max_examples=500, deadline=None)
@given(YAML_PIECES)
def test_any_yaml_like_text_is_read_or_refused_with_a_place(text):
    check_any(text)


def check_any(text: str) -> None:
    try:
        document = read_yaml(text, file="f")
    except ConfigError as error:
        told = error.problems
    else:
        assert document.keys.keys() <= document.places.keys()
        return
    assert told
    assert all(problem.message and problem.line >= 0 for problem in told)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def is_same_in_both(value) -> bool:
    """Texts that only YAML 1.2 takes for numbers are dumped without quotes by PyYAML, whose schema is that of 1.1."""
    if isinstance(value, str):
        return strict._scalar(value) == value and value not in {"~", ""}
    if isinstance(value, dict):
        return all(is_same_in_both(key) and is_same_in_both(member) for key, member in value.items())
    return all(map(is_same_in_both, value)) if isinstance(value, list) else True


class WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


@settings(max_examples=300, deadline=None)
@given(PLAIN.filter(is_same_in_both), st.booleans())
def test_agrees_with_pyyaml_where_both_schemas_agree(data, flow):
    text = yaml.dump(
        data, Dumper=WithoutAliases, default_flow_style=flow
    )  # ASCII only: PyYAML takes U+0085 for a line end
    mine, theirs = value(text), yaml.safe_load(text)
    assert mine == theirs == data
