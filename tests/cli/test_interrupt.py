"""The first Ctrl-C is recorded, the second raises KeyboardInterrupt."""

import os
import signal

import pytest

from gdlab.cli.interrupt import Interrupt
from gdlab.errors import Halted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_records_the_first_signal_and_raises_at_the_second(number, capsys):
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        interrupt.check()
        assert not interrupt()
        os.kill(os.getpid(), number)
        assert interrupt()
        assert "stopping after this segment" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def signalled_and_raises(error):
    with Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        raise error


def test_interrupt_exits_with_130_after_a_signal(monkeypatch, tmp_path, capsys):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with pytest.raises(Halted):
        signalled_and_raises(Halted(tmp_path, "interrupted", interrupted=True))
    assert codes == [130]
    assert f"gdlab resume {tmp_path}" in capsys.readouterr().err


def test_interrupt_does_not_catch_other_exceptions(monkeypatch):
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail("the process exits"))
    with pytest.raises(ValueError, match="a bug"):
        signalled_and_raises(ValueError("a bug"))


@pytest.mark.parametrize("command", ["run", "resume"])
def test_an_interrupt_while_planning_stops_before_any_run(gdlab, write, finished, monkeypatch, command):
    """Regression: JAX can lose a KeyboardInterrupt in a callback, and the run went on to its end."""
    from gdlab.experiment import run as experiment

    prepare = experiment.prepare

    def interrupted(resolved):
        os.kill(os.getpid(), signal.SIGINT)
        return prepare(resolved)

    def exits(code):
        raise SystemExit(code)

    write()
    monkeypatch.setattr(experiment, "prepare", interrupted)
    monkeypatch.setattr(experiment, "execute", lambda *args: pytest.fail("runs are evaluated"))
    monkeypatch.setattr(os, "_exit", exits)
    result = gdlab(command, "c.yaml" if command == "run" else finished, "--quiet")
    assert result.exit_code == 130, result.output
