"""A command of a page is run as Python runs it, but for the time that imports take."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TELLS = """
import sys
from pathlib import Path
import beside
print(__name__, sys.argv, sys.stdin.read(), Path.cwd().name, beside.NAME, "torch" in sys.modules)
print("aligntune" in sys.modules, sys.path[0] == str(Path(__file__).parent))
sys.exit(3)
"""


@pytest.mark.parametrize("is_warm", [True, False], ids=["warm", "python"])
def test_a_script_has_what_it_has_in_a_process_of_its_own(
    warm: Path, tmp_path: Path, is_warm: bool
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "beside.py").write_text("NAME = 'a package'")
    (tmp_path / "tells.py").write_text(TELLS)
    (tmp_path / "fails.py").write_text("def it():\n    raise ValueError('so')\nit()\n")

    def run(command: str) -> subprocess.CompletedProcess[str]:
        path = [str(warm)] * is_warm + [os.environ["PATH"]]
        return subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=os.environ | {"PATH": os.pathsep.join(path), "PYTHONPATH": str(tmp_path / "site")},
            input="read",
            capture_output=True,
            text=True,
            check=False,
        )

    told = run("python tells.py one 'two three'")
    first = f"__main__ ['tells.py', 'one', 'two three'] read {tmp_path.name} a package {is_warm}"
    assert told.stdout.splitlines() == [first, "False True"]
    assert told.returncode == 3
    failed = run("python fails.py")
    assert failed.returncode == 1
    assert failed.stderr.splitlines() == [
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/fails.py", line 3, in <module>',
        "    it()",
        f'  File "{tmp_path}/fails.py", line 2, in it',
        "    raise ValueError('so')",
        "ValueError: so",
    ]
    assert run("python -c 'import sys; sys.exit(4)'").returncode == 4
    assert run("aligntune trian").returncode == 2
    assert run("echo 'print(input())' > reads.py; echo hi | python reads.py").stdout == "hi\n"
