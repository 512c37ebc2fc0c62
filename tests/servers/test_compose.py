"""What can be said of docker-compose.yml without its images."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml  # type: ignore[import-untyped]

from eventserver.config import load_settings
from servers import cassandra as a_cassandra
from servers import elasticsearch as an_elasticsearch
from servers.cassandra import Cassandra
from servers.elasticsearch import Elasticsearch
from tests.system.server_process import ServerProcess

PROJECT: Final = Path(__file__).parents[2]
COMPOSE: Final = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
UNITS: Final = {"m": 2**20, "g": 2**30}

DURATION: Final = {"type": "string", "pattern": r"^(\d+(us|ms|s|m|h))+$"}
TEXTS: Final = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}
NAMED: Final = {"type": "object", "additionalProperties": {"type": ["object", "null"]}}
HEALTH_CHECK: Final = {
    "properties": {
        "test": {"type": "array", "items": {"type": "string"}, "minItems": 2},
        "retries": {"type": "integer", "minimum": 1},
        **dict.fromkeys(("interval", "timeout", "start_period"), DURATION),
    },
    "additionalProperties": False,
}
CONDITION: Final = {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
WAITING: Final = {"properties": {"condition": CONDITION}, "required": ["condition"], "additionalProperties": False}
SERVICE: Final = {
    "properties": {
        "build": {"type": "string"},
        "image": {"type": "string", "pattern": r"^[a-z0-9./-]+:[\w.-]+$"},
        "profiles": {**TEXTS, "items": {"pattern": "^[a-zA-Z0-9][a-zA-Z0-9_.-]+$"}},
        "environment": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        "ports": {**TEXTS, "items": {"type": "string", "pattern": r"^([0-9.]+:)?\d+:\d+$"}},
        "volumes": {**TEXTS, "items": {"type": "string", "pattern": r"^[a-z]+:/[\w/]+$"}},
        "depends_on": {"type": "object", "additionalProperties": WAITING},
        "mem_limit": {"type": "string", "pattern": r"^\d+[bkmg]b?$"},
        "stop_grace_period": DURATION,
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "healthcheck": HEALTH_CHECK,
    },
    "oneOf": [{"required": ["build"]}, {"required": ["image"]}],
    "additionalProperties": False,
}
SCHEMA: Final = {
    "properties": {"services": {"additionalProperties": SERVICE, "minProperties": 1}, "volumes": NAMED},
    "required": ["services"],
    "additionalProperties": False,
}
"""The part of the Compose Specification that is used here; a new key is looked up there, and added."""

each_service = pytest.mark.parametrize("name", SERVICES)


def _bytes(size: str) -> int:
    return int(size[:-1]) * UNITS[size[-1].lower()]


def test_the_stack_is_the_event_server_with_elasticsearch_and_kibana_and_cassandra_on_demand() -> None:
    """In the versions that the tests run on."""
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "eventserver",
        "elasticsearch",
        "kibana",
    }
    assert SERVICES["cassandra"]["profiles"] == ["cassandra"]
    assert SERVICES["elasticsearch"]["image"] == an_elasticsearch.IMAGE
    assert SERVICES["kibana"]["image"] == an_elasticsearch.IMAGE.replace("elasticsearch", "kibana")
    assert SERVICES["cassandra"]["image"] == a_cassandra.IMAGE


def test_it_is_of_the_form_that_compose_reads() -> None:
    """No key misspelt, no number where Compose wants a text, no duration without a unit, no name unknown."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(COMPOSE, SCHEMA)
    for service in SERVICES.values():
        assert service.get("depends_on", {}).keys() <= SERVICES.keys()
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= COMPOSE["volumes"].keys()
    assert COMPOSE["volumes"].keys() == SERVICES.keys()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("mem_limit: 1g", "memory_limit: 1g"),
        ("interval: 10s", "interval: 10"),
        ('"8070:8070"', "8070"),
        ("condition: service_healthy", "condition: healthy"),
        ("profiles: [cassandra]", "profiles: cassandra"),
        ("retries: 3", "retries: three"),
        ("image: cassandra:5.0", "image: cassandra"),
        ("    build: .\n", ""),
    ],
)
def test_another_form_is_told(before: str, after: str) -> None:
    """So that the test above can fail."""
    text = (PROJECT / "docker-compose.yml").read_text()
    assert before in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text.replace(before, after, 1)), SCHEMA)


@each_service
def test_each_service_has_a_health_check_a_memory_limit_and_a_named_volume(name: str) -> None:
    """And comes back by itself."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()
    assert service["restart"] == "unless-stopped"
    assert 2**29 <= _bytes(service["mem_limit"]) <= 2**31
    [volume] = service["volumes"]
    assert volume.startswith(f"{name}:/")
    assert name in COMPOSE["volumes"]


@each_service
def test_no_service_asks_for_what_an_unprivileged_engine_refuses(name: str) -> None:
    """It runs on a laptop, too."""
    service = SERVICES[name]
    assert not {"privileged", "cap_add", "devices", "sysctls", "pid", "ipc", "network_mode"} & service.keys()
    limits = service.get("ulimits", {})
    assert "memlock" not in limits
    files = limits.get("nofile", 0)
    assert max(files.values() if isinstance(files, dict) else [files]) <= 20_000


@each_service
def test_a_heap_takes_half_of_the_memory_at_most(name: str) -> None:
    """The rest is for what lies outside of it, and the files' pages."""
    settings = json.dumps(SERVICES[name].get("environment", {}))
    heaps = re.findall(r'(?:-Xmx|"MAX_HEAP_SIZE": ")(\d+[gGmM])', settings)
    heaps += [f"{size}m" for size in re.findall(r"max-old-space-size=(\d+)", settings)]
    assert len(heaps) == (name != "eventserver")
    assert all(_bytes(heap) <= _bytes(SERVICES[name]["mem_limit"]) / 2 for heap in heaps)


@each_service
def test_what_has_no_password_is_not_open_to_other_machines(name: str) -> None:
    """Only the event server is."""
    [port] = SERVICES[name]["ports"]
    assert port == "8070:8070" if name == "eventserver" else port.startswith("127.0.0.1:")


def test_the_event_server_is_set_up_as_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its settings are known to it, its data are in its volume, and its store is the one that comes with it."""
    environment = SERVICES["eventserver"]["environment"]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, re.sub(r"\$\{\w+:-(.*)\}", r"\1", value or "secret"))
    store = urlsplit(load_settings().event_store)
    assert (store.scheme, store.hostname, store.port) == ("elasticsearch", "elasticsearch", 9200)
    folder = SERVICES["eventserver"]["volumes"][0].partition(":")[2]
    assert f"SMRTFLOW_EVENT_ROOT_DIR={folder} " in (PROJECT / "Dockerfile").read_text()
    assert f"VOLUME {folder}\n" in (PROJECT / "Dockerfile").read_text()


def test_the_image_has_the_drivers_of_all_stores() -> None:
    """Each store's driver is an extra of the package."""
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    installed = re.search(r'dist/\*\.whl\)\[([\w,]+)\]"', (PROJECT / "Dockerfile").read_text())
    assert installed is not None
    assert set(installed[1].split(",")) == set(extras)


def test_the_event_server_starts_while_its_store_is_away() -> None:
    """It waits for no other service; Kibana, which would only fail, waits for Elasticsearch."""
    waiting = {name: service["depends_on"] for name, service in SERVICES.items() if "depends_on" in service}
    assert waiting == {"kibana": {"elasticsearch": {"condition": "service_healthy"}}}


def _check(name: str, port: int, *, at: int) -> int:
    """Run a health check against `at`, where the container has `port`, and return its exit code."""
    command = [
        word.replace(f":{port}/", f":{at}/").replace(f"/{port}", f"/{at}")
        for word in SERVICES[name]["healthcheck"]["test"][1:]
    ]
    assert command != SERVICES[name]["healthcheck"]["test"][1:]
    if command[0] == "python":
        command[0] = sys.executable
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode


def test_the_health_check_of_the_event_server_tells_one_that_is_well(tmp_path: Path) -> None:
    """It passes, and fails on a port without a server."""
    with ServerProcess(tmp_path / "root", tmp_path / "server.log") as server:
        assert _check("eventserver", 8070, at=server.port) == 0
    assert _check("eventserver", 8070, at=server.port) != 0


def test_the_health_check_of_elasticsearch_tells_one_that_is_well(elasticsearch: Elasticsearch, prefix: str) -> None:
    """It passes, and fails on a port without a server."""
    port = urlsplit(elasticsearch.url).port
    assert port is not None
    assert _check("elasticsearch", 9200, at=port) == 0
    elasticsearch.kill()
    assert _check("elasticsearch", 9200, at=port) != 0


def test_the_health_check_of_cassandra_tells_one_that_is_well(cassandra: Cassandra, keyspace: str) -> None:
    """It passes, and fails on a port without a server."""
    assert _check("cassandra", 9042, at=cassandra.port) == 0
    cassandra.kill()
    assert _check("cassandra", 9042, at=cassandra.port) != 0
