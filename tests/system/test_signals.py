"""What a signal ends is ended at once, from anywhere, and undone."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
BEGIN = """
import os, signal, sys, threading, time
from pathlib import Path
from musex.system.signals import check_stop, held_off, listen, undoing
listen("SIGINT", "SIGTERM", message="stopped\\n")
press = lambda: os.kill(os.getpid(), signal.SIGINT)
"""


def run_code(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """What a program that listens to signals does."""
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={"PYTHONPATH": str(ROOT)})


LOSES_EXCEPTIONS = {
    "__del__": "type('A', (), {'__del__': lambda self: press()})()",
    "a weak reference's callback": "import weakref; a = {1}; r = weakref.ref(a, lambda _: press()); del a",
    "a callback of C": "import ctypes; ctypes.CFUNCTYPE(None)(press)()",
    "code that catches all": """
        try:
            press()
        except BaseException:
            pass
    """,
    "another thread": "thread = threading.Thread(target=press); thread.start(); thread.join()",
}


@pytest.mark.parametrize("where", LOSES_EXCEPTIONS)
def test_a_signal_is_never_lost(where: str) -> None:
    done = run_code(textwrap.dedent(LOSES_EXCEPTIONS[where]) + "\ntime.sleep(60)")
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_what_is_half_done_is_undone_the_last_first() -> None:
    done = run_code("""
        with undoing(lambda: print("never")):
            pass
        with undoing(lambda: print("first", flush=True)), undoing(lambda: 1 / 0), undoing(lambda: print("last")):
            signal.raise_signal(signal.SIGTERM)
    """)
    assert (done.returncode, done.stdout, done.stderr) == (143, "last\nfirst\n", "stopped\n")


def test_a_signal_while_python_ends_changes_nothing() -> None:
    done = run_code("""
        class Late:
            def __init__(self):
                self.kill, self.me = os.kill, os.getpid()
            def __del__(self):
                print("late")
                self.kill(self.me, 2)
        late = Late()  # goes when Python has taken its handlers away
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "late\n", "")


@pytest.mark.parametrize("thread", [False, True])
def test_what_is_held_off_comes_at_the_end(thread: bool) -> None:
    code = """
        def work():
            with held_off():
                press()
                press()
                print("done", flush=True)
        if sys.argv[1] == "True":
            threading.Thread(target=work).start()
        else:
            work()
        time.sleep(60)
    """
    done = run_code(code, thread)
    assert (done.returncode, done.stdout, done.stderr) == (130, "done\n", "stopped\n")


def test_what_checks_unwinds_in_order() -> None:
    done = run_code("""
        try:
            with held_off():
                check_stop()
                press()
                check_stop()
        finally:
            print("unwound")
    """)
    assert (done.returncode, done.stdout) == (1, "unwound\n")
    assert done.stderr.endswith("musex.system.signals.Stopped: stopped by SIGINT\n")


def test_a_second_signal_later_ends_what_hangs() -> None:
    done = run_code("""
        threading.Timer(2.5, press).start()
        with held_off():
            press()
            time.sleep(60)
    """)
    assert (done.returncode, done.stderr) == (130, "stopped\n")


def test_nothing_that_was_begun_outlives_a_signal(tmp_path: Path) -> None:
    code = """
        from musex.system.processes import running
        from musex.system.side_files import temporary_folder, written_whole
        target = Path(sys.argv[1])
        with written_whole(target, force=True) as path, temporary_folder() as folder:
            path.touch()
            (folder / "a").touch()
            assert len(list(target.parent.iterdir())) == 2
            with running([sys.executable, "-c", "import time; time.sleep(60)"]) as child:
                print(folder, child.pid, flush=True)
                threading.Timer(0.2, press).start()
                child.wait()
    """
    target = tmp_path / "target"
    target.write_text("mine")
    done = run_code(code, target)
    assert (done.returncode, done.stderr) == (130, "stopped\n")
    folder, child = done.stdout.split()
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert target.read_text() == "mine"
    assert not Path(folder).exists()
    assert not Path(f"/proc/{child}").exists()


def test_what_is_ignored_stays_ignored() -> None:
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + BEGIN + "press(); print('on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (0, "on\n")
