"""The schemas that come with the server take what installed systems send."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventserver.config import packaged_schemas
from eventserver.schemas import SchemaRegistry, SchemaVersion, Severity, check
from eventserver.schemas.validation import second_opinion
from support.schema_directory import instances

REGISTRY = SchemaRegistry(packaged_schemas())
REGISTRY.load()
STATES = ["CREATED", "SUBMITTED", "RUNNING", "TERMINATED", "SUCCESSFUL", "FAILED", "UNKNOWN"]
FROM_THE_WIRE = """
{"updatedAt":"2026-11-24T12:20:51.544Z","state":"SUCCESSFUL","uuid":"eb7a8352-ad13-4f5d-9de5-5857c50a61fa",
 "jobTypeId":"pbsmrtpipe","id":7,"smrtlinkVersion":"5.1.0","createdAt":"2026-11-24T12:20:51.544Z","isActive":true,
 "movieIds":["m54001_180101_000000"],"isMultiJob":false,"pipelineId":"pbsmrtpipe.pipelines.sa3_sat"}
"""


def test_every_event_type_of_installed_systems_is_there() -> None:
    """Version 1 of each, also of the bundles, and a second version of one."""
    assert set(REGISTRY.versions) == {
        ("smrtlink_job_change_state", 1),
        ("smrtlink_job_change_state", 2),
        ("eula_signed", 1),
        ("sl_inst_upgrade_notification", 1),
        ("sl_smrt_server_startup", 1),
        ("sl_ts_import_bundle", 1),
        ("sl_chemistry_activate_bundle", 1),
        ("sl_job_metrics", 1),
        ("sl_test_event", 1),
        ("sl_ts_bundle_failed_install", 1),
        ("sl_ts_bundle_job", 1),
        ("sl_ts_bundle_job_metrics_history", 1),
        ("sl_ts_bundle_system_status", 1),
        ("sl_ts_test_bundle", 1),
    }


def test_a_misspelt_state_is_valid_under_version_1_only() -> None:
    """Installed systems send it; the published example has it."""
    message = {"jobId": 1234, "jobTypeId": "pbsmrtpipe", "state": "SUCCCESSFUL"}
    assert REGISTRY.validators["smrtlink_job_change_state", 1](message)
    assert not REGISTRY.validators["smrtlink_job_change_state", 2](message)


@pytest.mark.parametrize("state", STATES)
def test_every_job_state_is_valid_under_both_versions(state: str) -> None:
    """Version 2 names the states of installed systems."""
    for version in (1, 2):
        assert REGISTRY.validators["smrtlink_job_change_state", version]({"jobId": 1, "jobTypeId": "x", "state": state})


def test_an_event_of_an_installed_client_is_valid() -> None:
    """As seen on the wire."""
    assert REGISTRY.validators["sl_job_metrics", 1](json.loads(FROM_THE_WIRE))


@pytest.mark.parametrize("version", REGISTRY.versions.values(), ids=lambda version: f"{version[0]}-{version[1]}")
def test_fields_that_are_not_described_are_taken(version: SchemaVersion) -> None:
    """Installed systems of other releases send them, with whatever in them."""
    for message in version.examples["valid"]:
        assert version.is_valid({**message, "extra": None, "more": [1, {"deep": "x"}], "huge": Decimal("1E+400")})


def test_the_shipped_directory_passes_its_own_check() -> None:
    """Nothing worse than a note."""
    report = check(packaged_schemas())
    assert {finding.severity for finding in report.findings} == {Severity.NOTE}


@given(st.data())
def test_both_validators_agree_on_any_message(data: st.DataObject) -> None:
    """Also on messages that nobody thought of when the examples were written."""
    version = data.draw(st.sampled_from(list(REGISTRY.versions.values())))
    message: Any = data.draw(instances(version.schema))
    assert version.is_valid(message) == second_opinion(version.schema)(message)


@given(st.data())
def test_what_is_valid_has_no_violations_and_what_is_not_has_some(data: st.DataObject) -> None:
    """The explanation judges as the hot path does."""
    version = data.draw(st.sampled_from(list(REGISTRY.versions.values())))
    message: Any = data.draw(instances(version.schema))
    refusal = REGISTRY.explain(version.event_type_id, version.version, message)
    assert bool(refusal.errors) != version.is_valid(message)
