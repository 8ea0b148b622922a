"""The list of engines, and that an engine needs no more than an entry there."""

import inspect

import gil_samples as samples
import pytest

from python_tsan.cli import gil as verb
from python_tsan.cli.main import main
from python_tsan.errors import ToolchainError
from python_tsan.gil import registry
from python_tsan.gil.engine import Engine, Settings
from python_tsan.gil.registry import ANY_DEBUGGER, ENGINES, NAMES, find_engine


class Sampling:
    """An engine that a test adds."""

    name = "sampling"
    summary = "looks now and then"
    is_debugger = False

    def is_installed(self, env):
        return "SAMPLER" in env

    def trace(self, command, *, env, settings):
        assert isinstance(settings, Settings)
        assert "SAMPLER" in env
        return samples.trace(engine=self.name, command=tuple(command), exit_code=0)


@pytest.fixture
def sampling(monkeypatch):
    monkeypatch.setattr(registry, "ENGINES", (*ENGINES, Sampling()))
    monkeypatch.setattr(registry, "NAMES", (*NAMES, "sampling"))
    monkeypatch.setattr(verb, "NAMES", (*NAMES, "sampling"))


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_engine_has_the_members_of_the_protocol(engine):
    for name, member in vars(Engine).items():
        if not name.startswith("_"):
            assert hasattr(engine, name)
            if inspect.isfunction(member):
                expected = set(inspect.signature(member).parameters) - {"self"}
                assert set(inspect.signature(getattr(engine, name)).parameters) == expected
    assert engine.name.isidentifier()
    assert not engine.summary.endswith(".")


def test_names_are_unique_and_the_default_needs_nothing():
    assert len(set(NAMES)) == len(NAMES) == len(ENGINES) + 1
    assert ENGINES[0].is_installed({"PATH": ""})
    assert not ENGINES[0].is_debugger


def test_an_unknown_engine_is_a_key_error():
    with pytest.raises(KeyError):
        find_engine("strace", {})


def test_no_debugger_at_all_leads_to_the_default_engine(tmp_path):
    env = {"PATH": str(tmp_path)}
    with pytest.raises(ToolchainError, match="gdb or lldb was not found") as caught:
        find_engine(ANY_DEBUGGER, env)
    assert caught.value.advice == "install gdb or lldb, or use --engine preload"


@pytest.mark.usefixtures("sampling")
def test_an_added_engine_is_offered_run_and_kept_in_the_trace(monkeypatch, tmp_path, capsys):
    path = tmp_path / "new.trace"
    command = ["gil", "trace", "--engine", "sampling", "--output", str(path), "--", "python"]
    monkeypatch.delenv("SAMPLER", raising=False)
    assert main(command) == 3
    assert "sampling was not found" in capsys.readouterr().err
    monkeypatch.setenv("SAMPLER", "1")
    assert main(command) == 0
    assert main(["gil", "summary", str(path)]) == 0
    assert "engine sampling" in capsys.readouterr().out
