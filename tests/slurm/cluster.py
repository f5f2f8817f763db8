"""A real SLURM of two nodes on the loopback, without systemd or cgroups, stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

NEEDED: Final = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
NODES: Final = ("n1", "n2")
_PATH: Final = f"{os.environ['PATH']}:/usr/sbin:/sbin"

# KillWait is the time from SIGTERM to SIGKILL. Nothing is measured or bound to cores, for which
# SLURM would need cgroups.
_CONFIGURATION: Final = """\
ClusterName=harness
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
OverTimeLimit=0
JobRequeue=1
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    lacking = [name for name in NEEDED if not shutil.which(name, path=_PATH)]
    if lacking:
        return f"no {', '.join(lacking)} here: apt-get install -y slurm-wlm munge"
    return "" if os.getuid() == 0 else "slurmd runs jobs as root only"


@contextmanager
def started(folder: Path) -> Iterator[dict[str, str]]:
    """Start the cluster with its files in a folder; the environment in which its commands work."""
    folder.mkdir()
    folder.chmod(0o755)
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir()
    configuration = folder / "slurm.conf"
    configuration.write_text(_configuration(folder))
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    environment = {**os.environ, "PATH": _PATH, "SLURM_CONF": str(configuration)}
    munge = ["munged", "--foreground", "--force", "--num-threads=2"]
    munge += [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
    with ExitStack() as stack:
        for command in (
            [*munge, f"--socket={folder}/munge.socket"],
            ["slurmctld", "-D", "-i"],
            *(["slurmd", "-D", "-N", node] for node in NODES),
        ):
            stack.enter_context(_running(command, environment, folder))
        _wait_for_nodes(environment, folder)
        try:
            yield environment
        finally:
            everyone = ["scancel", "--full", f"--user={os.getuid()}"]
            subprocess.run(everyone, env=environment, check=False, capture_output=True)
            _wait_for_jobs(environment)


def _configuration(folder: Path) -> str:
    ports = _free_ports(1 + len(NODES))
    host = socket.gethostname()
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 State=UNKNOWN"
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    user = "root"
    return _CONFIGURATION.format(host=host, ports=ports, user=user, folder=folder, nodes=nodes)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def _running(command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{command[0]}.out").open("a") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_nodes(environment: dict[str, str], folder: Path) -> None:
    for _ in range(60):
        command = ["sinfo", "--noheader", "--Node", "--format=%N %t"]
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if sorted(answer.stdout.split("\n")[:-1]) == [f"{node} idle" for node in NODES]:
            return
        time.sleep(0.5)
    logs = {path.name: path.read_text()[-2000:] for path in folder.glob("*.log")}
    raise RuntimeError(f"the nodes did not come up: {answer.stdout} {answer.stderr} {logs}")


def _wait_for_jobs(environment: dict[str, str]) -> None:
    for _ in range(40):
        command = ["squeue", "--noheader"]
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if not answer.stdout.strip():
            return
        time.sleep(0.5)
