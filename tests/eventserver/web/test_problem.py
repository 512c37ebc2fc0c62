"""Refusals on the wire: what is in them, and how large they get."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import DirectoryInUse, StorageFull, StoreClosed, StoreUnavailable
from eventserver.counters import Counters
from eventserver.refusal import Code, Refusal, Violation
from eventserver.web.problem import KINDS, MEDIA_TYPE, answer, problem_response, refusal_of

SMALL = 720
WHOLE = {"Accept": f"application/json, {MEDIA_TYPE}"}
texts = st.text(max_size=3000)
violations = st.lists(st.builds(Violation, texts, texts), max_size=20)


def body_of(response: web.Response) -> dict[str, Any]:
    """Body of."""
    assert isinstance(response.body, bytes)
    value: dict[str, Any] = json.loads(response.body)
    return value


def size_of(response: web.Response) -> int:
    """Size of."""
    assert isinstance(response.body, bytes)
    return len(response.body)


def refuse(refusal: Refusal, path: str = "/api/v1/events", **headers: str) -> web.Response:
    """Refuse."""
    return problem_response(make_mocked_request("POST", path, headers=headers), refusal, "id")


def unanswered(path: str, **headers: str) -> web.Request:
    """Return a request of which nothing is answered yet."""
    return make_mocked_request("GET", path, headers=headers, writer=SimpleNamespace(output_size=0))


def test_a_problem_has_the_keys_of_rfc_9457_a_code_and_those_of_the_predecessor() -> None:
    """A problem has the keys of rfc 9457 a code and those of the predecessor."""
    response = refuse(Refusal(Code.NOT_FOUND, "It is not here."))
    assert response.status == 404
    assert response.content_type == "application/problem+json"
    assert body_of(response) == {
        "type": "/api/v1/docs#not_found",
        "title": "Not found",
        "status": 404,
        "code": "not_found",
        "detail": "It is not here.",
        "instance": "/api/v1/events#id",
        "httpCode": 404,
        "message": "It is not here.",
        "errorType": "not_found",
    }


@pytest.mark.parametrize("code", Code)
def test_every_code_has_its_place_in_the_table_and_in_the_reference(code: Code) -> None:
    """Every code has its place in the table and in the reference."""
    reference = (Path(__file__).parents[3] / "docs" / "reference" / "errors.md").read_text()
    assert f"| {KINDS[code].status} | `{code}` |" in reference


@given(detail=texts, errors=violations, path=st.text(max_size=500))
def test_whatever_is_wrong_the_refusal_stays_small(detail: str, errors: list[Violation], path: str) -> None:
    """Whatever is wrong the refusal stays small."""
    # What two slashes begin names a host, where the test makes its request; a server never reads it so.
    response = refuse(Refusal(Code.SCHEMA_VIOLATION, detail, errors), f"/{path.lstrip('/')}")
    assert size_of(response) <= SMALL
    value = body_of(response)
    told = value.get("errors", [])
    assert len(told) + value.get("errorsOmitted", 0) == len(errors)
    assert [error["pointer"] for error in told] == [
        error.pointer.encode("utf-8", "replace").decode() for error in errors[: len(told)]
    ]


@given(errors=violations)
def test_a_client_that_asks_for_problems_gets_all_violations(errors: list[Violation]) -> None:
    """A client that asks for problems gets all violations."""
    response = refuse(Refusal(Code.SCHEMA_VIOLATION, "It is wrong.", errors), **WHOLE)
    value = body_of(response)
    assert len(value.get("errors", [])) == len(errors)
    assert "errorsOmitted" not in value


def test_texts_that_are_cut_end_with_a_mark_and_are_still_utf_8() -> None:
    """Texts that are cut end with a mark and are still utf 8."""
    value = body_of(refuse(Refusal(Code.MALFORMED_JSON, "ü漢" * 500)))
    assert value["detail"].startswith("ü漢ü漢")
    assert value["detail"].endswith("…")
    assert value["detail"] == value["message"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StorageFull("/dev/sda1 is full"), 507, "storage_full"),
        (StoreUnavailable("connection to 10.0.0.1 refused"), 503, "storage_unavailable"),
        (StoreClosed("closing"), 503, "storage_unavailable"),
        (TimeoutError("store"), 503, "storage_unavailable"),
        (DirectoryInUse("/data", "pid 1"), 500, "internal_error"),
        (KeyError("/etc/passwd"), 500, "internal_error"),
        (web.HTTPRequestEntityTooLarge(1), 413, "payload_too_large"),
        (web.HTTPMethodNotAllowed("PUT", {"GET"}), 405, "method_not_allowed"),
        (web.HTTPUpgradeRequired(), 400, "bad_request"),
        (web.HTTPBadGateway(), 500, "internal_error"),
        (web.RequestPayloadError("zlib said no"), 400, "bad_request"),
    ],
)
def test_an_error_has_one_status_and_says_nothing_of_what_is_behind_it(
    error: Exception, status: int, code: str
) -> None:
    """An error has one status and says nothing of what is behind it."""
    refusal = refusal_of(error)
    assert (KINDS[refusal.code].status, refusal.code) == (status, code)
    for secret in ("/dev", "10.0.0.1", "/etc", "/data", "zlib"):
        assert secret not in refusal.detail


def test_an_unavailable_store_says_when_to_try_again() -> None:
    """An unavailable store says when to try again."""
    assert refuse(refusal_of(StoreUnavailable())).headers["Retry-After"] == "10"


def test_a_missing_token_says_how_to_authenticate() -> None:
    """A missing token says how to authenticate."""
    assert refuse(Refusal(Code.UNAUTHORIZED, "A token is needed.")).headers["WWW-Authenticate"] == "Bearer"


def test_a_defect_is_logged_with_its_trace_under_the_reference_that_the_answer_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A defect is logged with its trace under the reference that the answer shows."""
    response = answer(unanswered("/status", **{"X-Request-ID": "ab-12"}), ZeroDivisionError("secret"), Counters())
    value = body_of(response)
    assert (value["status"], value["instance"]) == (500, "/status#ab-12")
    assert "secret" not in json.dumps(value)
    logged = capsys.readouterr().out
    assert "ab-12" in logged
    assert "ZeroDivisionError: secret" in logged


@pytest.mark.parametrize("given_id", ["", "a b", "x" * 37, "ä", "<script>"])
def test_an_unsafe_request_id_is_not_repeated(given_id: str) -> None:
    """An unsafe request id is not repeated."""
    request = unanswered("/status", **{"X-Request-ID": given_id})
    instance = body_of(answer(request, Refusal(Code.NOT_FOUND, "No."), Counters()))["instance"]
    assert instance != f"/status#{given_id}"
    assert len(instance) == len("/status#") + 16


def test_refusals_are_counted_by_status_and_code() -> None:
    """Refusals are counted by status and code."""
    counters = Counters()
    for _ in range(3):
        answer(unanswered("/"), Refusal(Code.NOT_FOUND, "No."), counters)
    assert counters.problems == {(404, "not_found"): 3}


def test_a_client_that_is_gone_gets_no_answer() -> None:
    """A client that is gone gets no answer."""
    with pytest.raises(ConnectionResetError):
        answer(unanswered("/"), ConnectionResetError("gone"), Counters())
