"""JSON as text, that hypothesis makes: every spelling of numbers and escapes, space wherever it may be."""

import json

from hypothesis import strategies as st

spaces = st.text(" \t\n\r", max_size=5)
numbers = st.sampled_from(["0", "-1", "1.10", "1E+400", "-0.0e-7", "123456789012345678901234567890", "1" * 30 + ".5"])
strings = st.text(max_size=30).map(json.dumps) | st.text('\\"/[]{},:é漢𝄞', max_size=30).map(
    lambda text: json.dumps(text, ensure_ascii=False)
)
scalars = st.sampled_from(["true", "false", "null"]) | numbers | strings


def _array(items: list[str], space: str) -> str:
    return f"[{space}{f'{space},{space}'.join(items)}{space}]"


def _object(members: list[tuple[str, str]], space: str) -> str:
    return "{" + space + f"{space},{space}".join(f"{key}{space}:{space}{value}" for key, value in members) + space + "}"


texts = st.recursive(
    scalars,
    lambda inner: (
        st.builds(_array, st.lists(inner, max_size=4), spaces)
        | st.builds(_object, st.lists(st.tuples(strings, inner), max_size=4), spaces)
    ),
    max_leaves=12,
)
"""Of any JSON value; names within an object may be the same."""
