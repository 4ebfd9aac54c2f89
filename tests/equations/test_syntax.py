"""What equations may hold, and that everything else is a clear error in bounded time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikeloom as sl
from spikeloom.equations import model
from spikeloom.equations.syntax import FUNCTIONS, MAX_DEPTH, MAX_LENGTH, parse

HOSTILE = {
    "a dunder attribute": ("(1).__class__.__base__", "has no meaning"),
    "an attribute": ("v.real", "has no meaning"),
    "a dunder name": ("__import__('os')", "unknown function '__import__'"),
    "a call of a call": ("exp(v)(v)", "has no meaning"),
    "a call of an attribute": ("v.exp(v)", "has no meaning"),
    "lambda": ("(lambda: v)()", "has no meaning"),
    "a comprehension": ("[v for v in v]", "has no meaning"),
    "a generator": ("sum(v for v in v)", "unknown function 'sum'"),
    "a subscript": ("v[0]", "has no meaning"),
    "a text": ("'rm -rf'", "has no meaning"),
    "an f-string": ("f'{v}'", "has no meaning"),
    "bytes": ("b'v'", "has no meaning"),
    "an imaginary number": ("2j", "has no meaning"),
    "true": ("True", "has no meaning"),
    "None": ("None", "has no meaning"),
    "an ellipsis": ("...", "has no meaning"),
    "an assignment": ("(v := 3)", "has no meaning"),
    "await": ("await v", "has no meaning"),
    "a star": ("exp(*v)", "has no meaning"),
    "a keyword": ("exp(x=v)", "has no meaning"),
    "unknown function": ("sin(v)", "unknown function 'sin'"),
    "eval": ("eval('v')", "unknown function 'eval'"),
    "a misspelt function": ("ecp(v)", r"did you mean 'exp'\?"),
    "too few arguments": ("where(v > 0, 1)", r"where takes 3 argument\(s\)"),
    "bits": ("v ^ 2", r"a power is written \*\*"),
    "an and of bits": ("(v > 0) & (v < 1)", "write `and`"),
    "a conditional expression": ("1 if v > 0 else 2", r"write where\(condition, a, b\)"),
    "a remainder": ("v % 2", "has no meaning"),
    "membership": ("v in v", "has no meaning"),
    "identity": ("v is v", "has no meaning"),
    "a tower of powers": ("9**9**9", "is no finite number"),
    "a tower of powers behind a sign": ("-9**9**9 * v", "is no finite number"),
    "a great number": ("1e999", "is no finite number"),
    "a great whole number": ("9" * 1900, "is no finite number"),
    "a number of more digits than Python reads": ("9" * 100_000, "at most 2000 characters"),
    "a division by zero": ("1/0", "is no finite number"),
    "a root of a negative number": ("(-8)**(1/3)", "is no finite number"),
    "a statement": ("import os", "is not an expression"),
    "two statements": ("v; v", "is not an expression"),
    "nothing": ("", "is not an expression"),
    "a null byte": ("v\0", "has no meaning"),
    "a letter that looks like another": ("\uff45xp(v)", "has no meaning"),
    "a long text": ("v + " * 100_000 + "v", f"at most {MAX_LENGTH} characters"),
    "a deep text": ("(" * 900 + "v" + ")" * 900, "cannot be read|is not an expression"),
    "deep signs": ("-" * 1900 + "v", "nested deeper"),
    "deep calls": ("exp(" * 190 + "v" + ")" * 190, "nested deeper"),
    "a long sum": ("+".join("v" * 900), "nested deeper"),
    "a long conjunction": (" and ".join(["v>0"] * 100), "nested deeper"),
    "a long chain of comparisons": ("<".join("v" * 400), "nested deeper"),
    "many parts": ("clip(" + ",".join(["(" + "+".join("v" * 50) + ")"] * 10) + ")", "clip takes 3"),
    "many parts in a tree": ("((v+v)*(v+v)+(v+v)*(v+v))*" * 50 + "v", "at most 500 parts"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_equation_is_a_clear_error_in_bounded_time(name):
    text, message = HOSTILE[name]
    with pytest.raises(sl.ParameterError, match=message) as caught:
        parse(text, "here")
    assert str(caught.value).startswith("here: ")
    assert len(str(caught.value)) < 500


@given(st.text(alphabet="v019.e+-*/()<>=!&|^~,:;[]{}'\"\\ \n_@x", max_size=60))
def test_any_text_is_an_expression_or_a_clear_error(text):
    try:
        parse(text, "here")
    except sl.ParameterError as error:
        assert str(error).startswith("here")  # noqa: PT017


def text_of(node):
    return node.value if node.op in ("number", "name") else (node.op, *map(text_of, node.args))


def test_a_tree_is_that_of_python():
    assert text_of(parse("-a**2*b + c/d - 3", "here")) == (
        "sub", ("add", ("mul", ("neg", ("pow", "a", 2.0)), "b"), ("div", "c", "d")), 3.0,
    )  # fmt: skip
    assert text_of(parse("not a < b and c >= 1 or d == e", "here")) == (
        "or", ("and", ("not", ("lt", "a", "b")), ("ge", "c", 1.0)), ("eq", "d", "e"),
    )  # fmt: skip
    assert text_of(parse("0 < a <= 1", "here")) == ("and", ("lt", 0.0, "a"), ("le", "a", 1.0))


def test_numbers_are_worked_out():
    assert text_of(parse("+2 * 3 ** 2 / -4", "here")) == -4.5
    assert text_of(parse("x**(1/2)", "here")) == ("pow", "x", 0.5)


def test_the_signs_for_micro_and_ohm_are_letters():
    assert text_of(parse("\u00b5S * M\u03a9", "here")) == ("mul", "uS", "Mohm")
    assert text_of(parse("\u03bcS * M\u2126", "here")) == ("mul", "uS", "Mohm")


def test_a_sum_of_many_terms_is_within_the_limits():
    assert parse("+".join("v" * (MAX_DEPTH - 1)), "here").op == "add"


def test_every_function_is_read():
    for name, count in FUNCTIONS.items():
        assert parse(f"{name}({', '.join('abc'[:count])})", "here").op == name


# ---- models


def test_equations_go_over_lines_and_have_comments():
    found = model.equations(
        """
        dv/dt = (v_rest - v
                 + R*i) / tau : mV (unless refractory)   # the membrane: a comment
        # nothing
        i_leak = g * (v - e)  : nA
        tau : ms ( constant )
        rate : 1/(ms*mV)
        i_exc : nA (input)
        """,
        "m",
    )
    assert [(e.name, e.unit.text, e.is_ode, sorted(e.flags)) for e in found] == [
        ("v", "mV", True, ["unless refractory"]),
        ("i_leak", "nA", False, []),
        ("tau", "ms", False, ["constant"]),
        ("rate", "1/(ms*mV)", False, []),
        ("i_exc", "nA", False, ["input"]),
    ]
    assert found[0].node.text == "(v_rest - v + R*i) / tau"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dv/dt = -v/tau", "lacks its unit"),
        ("dv/dt = -v/tau : mV (unles refractory)", r"unknown flag \(unles refractory\); did you mean 'unless "),
        ("dv/dt : mV", "must begin with"),
        ("d2v/dt2 = 3 : mV", "must begin with"),
        ("2v = 3 : mV", "must begin with"),
        ("_v = 3 : mV", "must begin with"),
        ("__class__ = 3 : mV", "must begin with"),
        ("lambda = 3 : mV", "must begin with"),
        ("x = 3 : mV\nx = 4 : mV", "two lines for 'x'"),
        ("x = 3 :", "is not an expression"),
        ("x = : mV", "is not an expression"),
        ("x = {1: 2} : mV", "has no meaning"),
        ("\n".join(f"x{k} : mV" for k in range(100)), "at most 64 equations, got 100"),
        ("x" * 30_000, "at most 20000"),
        (7, "must be a text"),
    ],
)  # fmt: skip
def test_wrong_equations_are_told(text, message):
    with pytest.raises(sl.ParameterError, match=message):
        model.equations(text, "m")


@pytest.mark.parametrize(
    "text", ["v", "v == 3", "v = w = 3", "v : 3", "v.x = 3", "v[0] = 3", "v **= 3", "del v", "v, w = 3", "v = 3,", "=3"]
)
def test_what_is_no_assignment_is_told(text):
    with pytest.raises(sl.ParameterError, match=r"is no assignment|has no meaning|is not an expression"):
        model.statements(text, "m.reset")


def test_many_statements_are_told():
    with pytest.raises(sl.ParameterError, match="at most 64 statements"):
        model.statements("v = 1;" * 100, "m.reset")


def test_a_threshold_is_a_comparison():
    for text in ("v > v_th", "v >= v_th", "v_th < v", "v_th <= v"):
        found = model.threshold(text, "m.threshold")
        assert (found.above.text, found.below.text, found.gates) == ("v", "v_th", ())
    found = model.threshold("v > v_th and w < 3 and not u > 2", "m.threshold")
    assert [gate.text for gate in found.gates] == ["w < 3", "not u > 2"]
    for text in ("v", "v == v_th", "v > 1 or v < 2", "not v > 1", "True"):
        with pytest.raises(sl.ParameterError, match=r"must be a comparison|has no meaning"):
            model.threshold(text, "m.threshold")
