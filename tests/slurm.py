"""Start a SLURM cluster of one node on the loopback interface for the tests that need it."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.commands import wait_until

_DAEMONS = ("munged", "slurmctld", "slurmd")
_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={daemon_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge.socket,cred_expire=5
CryptoType=crypto/munge
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdLogFile={directory}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=8192 State=UNKNOWN
PartitionName=local Nodes={host} Default=YES State=UP
"""
# Without a database SLURM has no accounting. This sacct answers submitit from the controller, while that runs.
_SACCT = """#!{python}
import re, subprocess
print("JobID|State|NodeList")
for line in subprocess.run(["scontrol", "-o", "show", "job"], capture_output=True, text=True).stdout.splitlines():
    of = dict(re.findall(r"(\\w+)=(\\S*)", line))
    if "JobId" in of:
        task = of.get("ArrayTaskId")
        name = f"{{of['ArrayJobId']}}_{{task}}" if task else of["JobId"]
        print(name, of["JobState"], of.get("NodeList", ""), sep="|")
"""


def missing() -> str:
    """Return why no cluster can be started here, or an empty string if it can."""
    absent = [program for program in (*_DAEMONS, "sbatch") if shutil.which(program, path=_path()) is None]
    if absent:
        return f"no {', '.join(absent)}: apt install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "slurmd is started as root"


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


@contextmanager
def slurm_cluster(directory: Path) -> Iterator[dict[str, str]]:
    """Start a cluster whose node has two cores; yield environment variables for its commands; stop all daemons."""
    for name in ("state", "spool", "bin"):
        (directory / name).mkdir()
    (directory / "munge.key").write_bytes(secrets.token_bytes(128))
    (directory / "munge.key").chmod(0o400)
    shim = directory / "bin" / "sacct"
    shim.write_text(_SACCT.format(python=sys.executable))
    shim.chmod(0o755)
    conf = directory / "slurm.conf"
    port = 20000 + os.getpid() % 20000
    conf.write_text(
        _CONF.format(host=os.uname().nodename, directory=directory, controller_port=port, daemon_port=port + 1)
    )
    environment = {"SLURM_CONF": str(conf), "PATH": f"{directory / 'bin'}:{_path()}"}
    in_directory = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid"}
    in_directory |= {"log-file": "munged.log", "seed-file": "munged.seed"}
    commands = (
        ["munged", "--foreground", "--force", *(f"--{key}={directory / name}" for key, name in in_directory.items())],
        ["slurmctld", "-D", "-c", "-f", str(conf)],
        ["slurmd", "-D", "-c", "-f", str(conf)],
    )
    with _daemons(commands, directory, {**os.environ, **environment}) as running:

        def idle() -> bool:
            assert all(process.poll() is None for process in running), logs(directory)
            result = subprocess.run(
                ["sinfo", "-h", "-o", "%T"], env={**os.environ, **environment}, capture_output=True, text=True
            )
            return result.stdout.strip() == "idle"

        wait_until(idle, lambda: logs(directory))
        yield environment


@contextmanager
def _daemons(
    commands: tuple[list[str], ...], directory: Path, environment: dict[str, str]
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    running: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            program = shutil.which(command[0], path=environment["PATH"])
            with (directory / f"{command[0]}.out").open("wb") as out:
                running.append(
                    subprocess.Popen(
                        [str(program), *command[1:]], env=environment, stdout=out, stderr=out, cwd=directory
                    )
                )
            if command[0] == "munged":
                wait_until((directory / "munge.socket").exists, lambda: logs(directory))
        yield running
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def logs(directory: Path) -> str:
    """Return the last lines that the daemons logged."""
    files = [*directory.glob("*.out"), *directory.glob("*.log")]
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in files)
