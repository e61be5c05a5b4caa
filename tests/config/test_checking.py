from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.config.checking import Checker
from headgate.config.fitting import Fitting
from headgate.config.formats import Formats
from headgate.config.keywords import MAKERS
from headgate.config.strict import strict_validator
from headgate.config.yaml import read_yaml

FORMATS = Formats(folder=Path("/srv"), stores={"env": "", "vault": "its plugin is broken"})


def said(text: str, schema: dict) -> list[str]:
    document = read_yaml(text, file="f")
    found = Checker(schema, FORMATS).read(document, document.value)[1]
    return [str(problem).removeprefix("f:") for problem in found]


def became(text: str, schema: dict):
    document = read_yaml(text, file="f")
    value, problems = Checker(schema, FORMATS).read(document, document.value)
    assert problems == ()
    return value


def block(**properties) -> dict:
    return {"type": "object", "additionalProperties": False, "properties": properties}


TEXT = {"type": "string"}
DURATION = {"type": "string", "format": "duration"}
LONG = "^" + "(a|b)" * 20


# --- what fits: conversions and texts as written ------------------------------------------------------------------


def test_durations_sizes_and_paths_become_what_they_mean():
    schema = block(
        wait=DURATION,
        size={"type": "string", "format": "size"},
        file={"type": "string", "format": "path"},
        many={"type": "array", "items": {"type": "string", "format": "path"}},
        free={"type": "object", "additionalProperties": DURATION},
    )
    assert became("{wait: 5m, size: 2KiB, file: ./a/../b, many: [x, /y], free: {q: 1d}}", schema) == {
        "wait": 300.0,
        "size": 2048,
        "file": "/srv/b",
        "many": ["/srv/x", "/y"],
        "free": {"q": 86400.0},
    }


def test_conversions_reach_through_references_and_branches():
    schema = {
        "$defs": {"wait": DURATION},
        **block(
            ref={"$ref": "#/$defs/wait"},
            any={"anyOf": [{"const": "never"}, DURATION]},
            one={"oneOf": [{"type": "integer"}, block(wait=DURATION)]},
            all={"allOf": [DURATION, {"minLength": 2}]},
            first={"type": "array", "prefixItems": [TEXT], "items": DURATION},
            when={"if": {"type": "object"}, "then": block(wait=DURATION), "else": DURATION},
        ),
    }
    assert became("{ref: 1s, any: 1m, one: {wait: 1h}, all: 2s, first: [1s, 2s], when: {wait: 3s}}", schema) == {
        "ref": 1.0, "any": 60.0, "one": {"wait": 3600.0}, "all": 2.0, "first": ["1s", 2.0], "when": {"wait": 3.0},
    }  # fmt: skip
    assert became("{any: never, one: 5, when: 2s}", schema) == {"any": "never", "one": 5, "when": 2.0}


def test_a_value_without_conversions_is_not_copied():
    document = read_yaml("{a: [1]}", file="f")
    assert Checker(block(a={"type": "array"}), FORMATS).read(document, document.value)[0] is document.value


def test_numbers_and_booleans_are_taken_as_written_where_only_a_text_may_stand():
    schema = block(version=TEXT, list={"type": "array", "items": TEXT}, number={"type": ["string", "number"]})
    assert became("{version: 1.10, list: [0777, True, 1e3], number: 1.50}", schema) == {
        "version": "1.10", "list": ["0777", "True", "1e3"], "number": 1.5,
    }  # fmt: skip


def test_texts_as_written_are_found_behind_conditions():
    schema = {
        "type": "object",
        "allOf": [
            {"if": {"properties": {"is": {"const": "a"}}}, "then": {"properties": {"v": TEXT}}},
            {"if": {"properties": {"is": {"const": "b"}}}, "then": {"properties": {"v": {"type": "number"}}}},
        ],
    }
    assert became("{is: a, v: 1.10}", schema) == {"is": "a", "v": "1.10"}
    assert became("{is: b, v: 1.10}", schema) == {"is": "b", "v": 1.1}


def test_nothing_is_not_taken_as_a_text():
    assert said("{a: }", block(a=TEXT)) == ["1:5: a: expected a text, found nothing"]


# --- what does not fit: words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("{depht: 1}", block(depth={}), "1:2: depht: unknown key `depht` (did you mean `depth`?)"),
        ("{Max-Running: 1}", block(max_running={}), "1:2: Max-Running: unknown key `Max-Running` (did you mean `max_running`?)"),
        ("{zzz: 1}", block(a={}, b={}), "1:2: zzz: unknown key `zzz` (keys here: a, b)"),
        ("{steps: 1}", block(run=block(steps={})), "1:2: steps: unknown key `steps` (it belongs to `run`)"),
        ("{}", {**block(a={"description": "The a. More."}), "required": ["a"]}, "1:1: `a` is missing (The a)"),
        ("{a: x}", block(a={"type": "integer"}), "1:5: a: expected a whole number, found `x`"),
        ("{a: 1.0}", block(a={"type": "integer"}), "1:5: a: expected a whole number, found `1.0`"),
        ("{a: 1}", block(a={"type": ["array", "null"]}), "1:5: a: expected a list or nothing, found `1` (write [1])"),
        ("{a: }", block(a=block()), "1:5: a: expected a mapping, found nothing (write `{}` for a block without options)"),
        ("{a: yes}", block(a={"type": "boolean"}), "1:5: a: expected true or false, found `yes`"),
        ("{a: faled}", block(a={"enum": ["failed", "fixed"]}), "1:5: a: expected one of `failed`, `fixed`, found `faled` (did you mean `failed`?)"),
        ("{a: 0}", block(a={"minimum": 1}), "1:5: a: expected at least 1, found 0"),
        ("{a: ''}", block(a={"minLength": 1}), "1:5: a: must not be empty"),
        ("{a: [x, x]}", block(a={"uniqueItems": True}), "1:5: a: `x` stands here twice"),
        ("{a: xyz}", block(a={"pattern": "^a"}), "1:5: a: `xyz` does not match the pattern `^a`"),
        ("{a: xyz}", block(a={"pattern": "^a", "x-headgate-expected": "an a"}), "1:5: a: expected an a, found `xyz`"),
        ("{a: xyz}", block(a={"pattern": LONG, "description": "An a. More.", "examples": ["aaa"]}), "1:5: a: `xyz` is not of the form that is wanted (An a, such as aaa)"),
        ("{a: xyz}", block(a={"pattern": LONG, "description": "An a."}), "1:5: a: `xyz` is not of the form that is wanted (An a)"),
        ("{a: xyz}", block(a={"pattern": LONG}), f"1:5: a: `xyz` does not match the pattern `{LONG}`"),
        ("{a: new}", block(a={"enum": ["old", "odd"], "x-headgate-later": ["new"]}), "1:5: a: `new` is not supported by this version of Headgate (write `old` or `odd`)"),
        ("{a: nev}", block(a={"enum": ["old", "odd"], "x-headgate-later": ["new"]}), "1:5: a: expected one of `old`, `odd`, found `nev`"),
        ("{a: '80'}", block(a={"type": "integer"}), "1:5: a: expected a whole number, found the text `80` (write it without quotes)"),
        ("{a: '1.5'}", block(a={"type": "integer"}), "1:5: a: expected a whole number, found `1.5`"),
        ("{a: '1.5'}", block(a={"type": "number"}), "1:5: a: expected a number, found the text `1.5` (write it without quotes)"),
        ("{a: 'true'}", block(a={"type": "boolean"}), "1:5: a: expected true or false, found the text `true` (write it without quotes)"),
        ("{a: 'x: y'}", block(a={"type": "array"}), '1:5: a: expected a list, found `x: y` (write ["x: y"])'),
        ("{a: ''}", block(a={"type": "array", "description": "Some."}), "1:5: a: expected a list, found an empty text (Some)"),
        ("{a: }", block(a={**block(b={}), "required": ["b"]}), "1:5: a: expected a mapping, found nothing (it needs `b`)"),
        ("{x y: 1}", {"propertyNames": {"pattern": "^a"}}, "1:2: x y: `x y` does not match the pattern `^a`"),
        ("{a: 5}", block(a=DURATION), "1:5: a: expected a duration such as 30s, 5m, 2h or 1d, found `5` (did you mean `5s`?)"),
        ("{a: 5 m}", block(a=DURATION), "1:5: a: expected a duration such as 30s, 5m, 2h or 1d, found `5 m`"),
        ("{a: 1, b: 1}", {"not": {"required": ["a", "b"]}}, "1:1: `a` and `b` exclude each other"),
        ("{a: 1}", {"dependentRequired": {"a": ["b"]}}, "1:1: `a` needs `b` beside it"),
        ("{a: 1}", block(a=False), "1:1: `1` must not stand here"),
        ("{a: {}, b: {}}", {"maxProperties": 1}, "1:1: expected one key, found `a`, `b`; start each with a `- ` of its own"),
    ],
)  # fmt: skip
def test_problems_say_what_was_expected_and_what_was_probably_meant(text, schema, expected):
    assert said(text, schema) == [expected]


SECRET = {"type": "string", "format": "secret", "pattern": "^secret://[a-z]+/[a-z]+$"}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("hunter2", "expected a secret by reference: secret://store/name (a secret itself must not stand here; store it with `headgate credentials set`)"),
        ("secret://evn/x", "there is no credential store `evn` (did you mean `env`?)"),
        ("secret://vault/x", "the credential store `vault` cannot be used: its plugin is broken"),
    ],
)  # fmt: skip
def test_secrets_are_told_once_and_never_repeated(reference, expected):
    assert said(f"{{a: '{reference}'}}", block(a=SECRET)) == [f"1:5: a: {expected}"]


def test_a_misspelt_key_is_not_also_missing():
    schema = {**block(connection=TEXT, repository=TEXT), "required": ["connection", "repository"]}
    assert said("{connektion: x, repository: y}", schema) == [
        "1:2: connektion: unknown key `connektion` (did you mean `connection`?)"
    ]
    either = {**block(every={}, cron={}), "oneOf": [{"required": ["every"]}, {"required": ["cron"]}]}
    assert said("{evvery: 5m}", either) == ["1:2: evvery: unknown key `evvery` (did you mean `every`?)"]


EITHER = {"oneOf": [{"required": ["every"]}, {"required": ["cron"]}]}
CHECKOUT = {"anyOf": [{"const": "none"}, block(depth={"type": "integer", "minimum": 1})]}
SHAPES = {
    "oneOf": [
        block(type={"const": "circle"}, radius={"type": "integer"}),
        block(type={"const": "square"}, side={"type": "integer"}),
    ]
}


@pytest.mark.parametrize(
    ("text", "schema", "expected"),
    [
        ("{}", EITHER, "1:1: expected one of `every` or `cron`"),
        ("{every: 1, cron: 2}", EITHER, "1:1: `every` and `cron` exclude each other"),
        ("non", CHECKOUT, "1:1: expected `none` or a mapping, found `non` (did you mean `none`?)"),
        ("[1]", CHECKOUT, "1:1: expected `none` or a mapping, found a list"),
        ("{depht: 1}", CHECKOUT, "1:2: depht: unknown key `depht` (did you mean `depth`?)"),
        ("{depth: 0}", CHECKOUT, "1:9: depth: expected at least 1, found 0"),
        ("{type: circle, radius: x}", SHAPES, "1:24: radius: expected a whole number, found `x`"),
        ("{type: circel}", SHAPES, "1:8: type: expected one of `circle`, `square`, found `circel` (did you mean `circle`?)"),
    ],
)  # fmt: skip
def test_of_several_forms_the_one_that_was_meant_is_explained(text, schema, expected):
    assert said(text, schema) == [expected]


def test_all_problems_are_told_in_the_order_of_the_file():
    schema = block(a={"type": "integer"}, b=block(c=TEXT), d={"enum": ["x"]})
    assert [line.split(":")[0] for line in said("d: y\nb:\n  cc: 1\na: z\ne: 1", schema)] == ["1", "3", "4", "5"]


def test_where_no_key_is_known_none_is_suggested():
    assert said("{a: 1}", block()) == ["1:2: a: unknown key `a` (there are no keys here)"]


# --- the quick answer is jsonschema's --------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.sampled_from([0.5, 1.0, "", "a", "ab", "5m", "secret://env/x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "ab"]), inner, max_size=3),
    max_leaves=6,
)
NUMBERS = st.integers(0, 3)
NAMES = st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True)


def keyword_schemas(inner):
    keywords = {
        "type": st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
        | st.lists(st.sampled_from(["object", "string", "integer", "number"]), min_size=1, max_size=2, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3),
        "const": VALUES,
        "properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=1),
        "additionalProperties": inner,
        "propertyNames": inner,
        "required": NAMES,
        "dependentRequired": st.dictionaries(st.sampled_from(["a", "b"]), NAMES, max_size=1),
        "minProperties": NUMBERS,
        "maxProperties": NUMBERS,
        "items": inner,
        "prefixItems": st.lists(inner, min_size=1, max_size=2),
        "contains": inner,
        "minItems": NUMBERS,
        "maxItems": NUMBERS,
        "uniqueItems": st.booleans(),
        "minLength": NUMBERS,
        "maxLength": NUMBERS,
        "pattern": st.sampled_from(["^a", "b$"]),
        "format": st.sampled_from(["duration", "secret", "path", "uri"]),
        "minimum": NUMBERS,
        "maximum": NUMBERS,
        "exclusiveMinimum": NUMBERS,
        "exclusiveMaximum": NUMBERS,
        "multipleOf": st.integers(1, 2),
        "allOf": st.lists(inner, min_size=1, max_size=2),
        "anyOf": st.lists(inner, min_size=1, max_size=2),
        "oneOf": st.lists(inner, min_size=1, max_size=2),
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "unevaluatedProperties": st.booleans(),
        "$ref": st.just("#/$defs/x"),
    }
    pairs = [st.tuples(st.just(name), values) for name, values in keywords.items()]
    return st.lists(st.one_of(pairs), max_size=4).map(dict)


SCHEMAS = st.recursive(st.booleans() | keyword_schemas(st.booleans()), keyword_schemas, max_leaves=5)


def is_looping(schema) -> bool:
    """A schema that applies itself to the same value has no answer, here or there."""
    return "$ref" in str(schema)


@settings(max_examples=400, deadline=None)
@given(SCHEMAS.filter(lambda schema: isinstance(schema, dict)), SCHEMAS.filter(lambda x: not is_looping(x)), VALUES)
def test_the_quick_answer_is_always_that_of_jsonschema(schema, definition, value):
    schema = {**schema, "$defs": {"x": definition}}
    assert Fitting(schema, FORMATS).fits(value) == strict_validator(schema, FORMATS).is_valid(value)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS.filter(lambda schema: isinstance(schema, dict) and not is_looping(schema)), VALUES)
def test_whatever_does_not_fit_has_a_problem(schema, value):
    document = read_yaml("", file="f")
    _, problems = Checker(schema, FORMATS).read(document, copy.deepcopy(value))
    assert bool(problems) == (not strict_validator(schema, FORMATS).is_valid(value))
    assert all(problem.message for problem in problems)


def test_the_comparison_can_fail(monkeypatch):
    """The negative control: a keyword that is quick and wrong is noticed."""
    monkeypatch.setitem(MAKERS, "minimum", lambda *_: lambda _value: True)
    assert Fitting({"minimum": 3}, FORMATS).fits(1) != strict_validator({"minimum": 3}, FORMATS).is_valid(1)


def test_a_schema_may_refer_to_itself():
    schema = {"$defs": {"tree": block(left={"$ref": "#/$defs/tree"}, wait=DURATION)}, "$ref": "#/$defs/tree"}
    assert became("{left: {left: {wait: 1s}}}", schema) == {"left": {"left": {"wait": 1.0}}}
    assert said("{left: {left: {wat: 1s}}}", schema) == [
        "1:16: left.left.wat: unknown key `wat` (did you mean `wait`?)"
    ]
