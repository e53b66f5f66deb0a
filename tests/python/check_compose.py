"""Checks docker-compose.yml: against the Compose specification's schema, and what no schema can see.

    pip install check-jsonschema==0.39.0
    python tests/python/check_compose.py

check-jsonschema carries the schema with it and brings ruamel.yaml, a YAML 1.2 parser.
"""

import re
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"

# What docs/compose/README.md has the user make: it holds a private key, so it is not in the repository.
MADE_BY_THE_USER = {"./docs/compose/tls"}


def main() -> int:
    schema = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    if subprocess.run(schema, check=False).returncode != 0:
        return 1

    compose = YAML(typ="safe").load(COMPOSE)
    problems = list(check(compose))
    for problem in problems:
        print(f"{COMPOSE.name}: {problem}", file=sys.stderr)
    return 1 if problems else 0


def check(compose):
    """Yields what is wrong."""
    services = compose["services"]
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    used = set()
    for name, service in services.items():
        target = service.get("build", {}).get("target")
        if target and target not in stages:
            yield f"{name}: the Dockerfile has no stage {target!r}"

        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if not source.startswith("."):
                used.add(source)
            elif source in MADE_BY_THE_USER:
                if f"mkdir -p {source.removeprefix('./')}\n" not in (ROOT / "docs/compose/README.md").read_text():
                    yield f"{name}: {source} is not in the repository, and README.md does not say how to make it"
            elif not (ROOT / source).is_file():
                yield f"{name}: there is no file {source}"

        for other, dependency in service.get("depends_on", {}).items():
            if other not in services:
                yield f"{name}: depends on {other}, which is no service"
            elif dependency["condition"] == "service_healthy" and "healthcheck" not in services[other]:
                yield f"{name}: waits for {other} to be healthy, which has no health check"

    for volume in used ^ set(compose["volumes"]):
        yield f"the volume {volume} is not both declared and used"
    yield from check_addresses(services)


def check_addresses(services):
    """The sample files must name each other by the services' names."""
    sample = YAML(typ="safe").load(ROOT / "docs/compose/portcullis.yaml")
    authz = YAML(typ="safe").load(ROOT / "docs/compose/authz.yaml")
    named = [*sample["edge"]["authz"], sample["edge"]["control_plane"], authz["control_plane"].split("//")[1]]
    for address in named:
        if address.split(":")[0] not in services:
            yield f"the sample files name {address}, which is no service"

    ports = {address.split(":")[1] for address in sample["edge"]["authz"]}
    if ports != {authz["listen"].split(":")[1]}:
        yield "edge.authz and the port of authz.yaml differ"
    if sample["edge"]["listen"].split(":")[1] not in [port.split(":")[-1] for port in services["envoy"]["ports"]]:
        yield "edge.listen is not published"
    if authz["control_plane"].split(":")[-1] != sample["listen"]["grpc"].split(":")[1]:
        yield "authz.yaml does not name the control plane's listen.grpc"
    for service, ops in [("control-plane", sample["listen"]["ops"]), ("authz-1", authz["ops"]), ("authz-2", authz["ops"])]:
        if services[service]["environment"]["OPS_PORT"] != ops.split(":")[1]:
            yield f"{service}: OPS_PORT is not the port of its ops address"


if __name__ == "__main__":
    sys.exit(main())
