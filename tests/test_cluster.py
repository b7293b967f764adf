"""Schedulers and executors on the command line, of the build that is tested: one that has them, or one that has not."""

import re
import signal
import subprocess
import time

import pytest

from support.server import bare_environment, binary, has_cluster

HOW_TO_BUILD = "cargo build --release --features cluster"


def told(*arguments):
    """The exit code and standard error of a command that ends."""
    ended = subprocess.run([binary(), *arguments], env=bare_environment(), capture_output=True, text=True, timeout=20)
    return ended.returncode, ended.stderr


if has_cluster():

    def test_schedulers_and_executors_listen_to_this_machine_alone_unless_told(tmp_path):
        for command in (["scheduler"], ["executor", "--scheduler", "127.0.0.1:1", "--data-dir", tmp_path]):
            code, text = told(*command, "--listen", "0.0.0.0:0")
            assert code == 1 and "on a private network, say --allow-plain-http" in text, text

    def test_ballista_needs_the_address_of_a_scheduler(tmp_path):
        code, text = told("serve", "--data-dir", tmp_path / "data", "--engine", "ballista")
        assert code == 1 and "needs the setting scheduler" in text, text

    def test_ballista_needs_a_catalog_and_objects_that_executors_see(tmp_path):
        options = ["--data-dir", tmp_path / "data", "--scheduler", "127.0.0.1:1"]
        for command in (["serve", "--engine", "ballista"], ["executor"]):
            code, text = told(*command, *options)
            assert code == 1 and "executors see the catalog and the objects of nodes" in text, text

    def test_a_scheduler_says_where_it_listens_and_ends_when_told():
        command = [binary(), "scheduler", "--listen", "127.0.0.1:0"]
        scheduler = subprocess.Popen(command, env=bare_environment(), stdout=subprocess.PIPE, text=True)
        try:
            assert re.match(r"Address +127\.0\.0\.1:\d+$", scheduler.stdout.readline())
            began = time.monotonic()
            scheduler.send_signal(signal.SIGTERM)
            assert scheduler.wait(20) == 0
            assert time.monotonic() - began < 15
        finally:
            scheduler.kill()

else:

    @pytest.mark.parametrize("command", [["scheduler"], ["executor", "--scheduler", "127.0.0.1:1"]])
    def test_a_build_without_its_cluster_part_says_how_to_build_one_that_has_it(command, tmp_path):
        options = ["--data-dir", tmp_path] if command[0] == "executor" else []
        code, text = told(*command, *options)
        assert code == 1 and HOW_TO_BUILD in text, text

    def test_a_server_without_its_cluster_part_refuses_executors_at_its_start(tmp_path):
        code, text = told("serve", "--data-dir", tmp_path / "data", "--engine", "ballista", "--scheduler", "a:1")
        assert code == 1 and "engine can't be ballista" in text and HOW_TO_BUILD in text, text
        assert not (tmp_path / "data").exists()
