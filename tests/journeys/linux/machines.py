"""Two machines made of namespaces, with a cable between them: a place for the server, and a laptop.

The laptop has its own network, processes and mounts: what may be changed on it (its /etc, its PAM modules) are copies,
its /run, /home and /var/log are empty. The machine that the tests run on is not touched, and nothing is left behind:
both end with the pipe to the process that made them, however that ends.
"""

import subprocess
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECURITY = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/security"  # where PAM looks for modules
SERVER_ADDRESS = "192.0.2.1"  # RFC 5737: an address of documentation
LAPTOP_ADDRESS = "192.0.2.2"
SERVER_END, LAPTOP_END = "to-laptop", "to-server"

# Paths that an administrator or a package may change on the laptop: copies of the machine's own.
OWN = ("/etc", "/var/lib/pam", "/var/cache/debconf", "/usr/share/pam-configs", SECURITY)

_SET_UP = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 755 /run/sshd
for each; do
    mkdir -p /run/machine$each
    cp -a $each/. /run/machine$each/
    mount --bind /run/machine$each $each
done
for each in /home /var/log; do mount -t tmpfs -o mode=755 tmpfs $each; done
ip link set lo up
echo ready
exec cat
"""


@dataclass(frozen=True)
class Machine:
    """A set of namespaces, held by the process `pid`."""

    pid: int
    entered: tuple[str, ...]  # a command behind these words runs there

    def run(self, *command: str, typed: str = "") -> str:
        """Run a command on the machine as root and return its output. Raises an error with the output if it fails."""
        done = subprocess.run(
            [*self.entered, *command], input=typed, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, f"{command[0]}: exit {done.returncode}: {done.stderr}{done.stdout}"
        return done.stdout

    def path(self, path: str) -> Path:
        """A file there, as seen from outside."""
        return Path(f"/proc/{self.pid}/root{path}")


@dataclass(frozen=True)
class Pair:
    """The server's place, the laptop, and the cable between them."""

    server: Machine
    laptop: Machine

    def plug(self) -> None:
        self.laptop.run("ip", "link", "set", LAPTOP_END, "up")

    def unplug(self) -> None:
        """Remove the route to the server."""
        self.laptop.run("ip", "link", "set", LAPTOP_END, "down")


@contextmanager
def a_pair() -> Iterator[Pair]:
    """The two machines, with the cable plugged in."""
    with _held(("--net",), "ip link set lo up; echo ready; exec cat", ()) as server_pid:
        options = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        with _held(options, _SET_UP, OWN) as outside:
            laptop_pid = int(Path(f"/proc/{outside}/task/{outside}/children").read_text().split()[0])
            server = Machine(server_pid, ("nsenter", f"--target={server_pid}", "--net", "--"))
            entered = ("nsenter", f"--target={laptop_pid}", "--net", "--mount", "--pid", "--")
            pair = Pair(server, Machine(laptop_pid, entered))
            cable = ("type", "veth", "peer", "name", LAPTOP_END, "netns", str(laptop_pid))
            server.run("ip", "link", "add", SERVER_END, *cable)
            for machine, address, end in (
                (server, SERVER_ADDRESS, SERVER_END),
                (pair.laptop, LAPTOP_ADDRESS, LAPTOP_END),
            ):
                machine.run("ip", "address", "add", f"{address}/30", "dev", end)
                machine.run("ip", "link", "set", end, "up")
            yield pair


@contextmanager
def _held(options: Sequence[str], script: str, arguments: Sequence[str]) -> Iterator[int]:
    """Yield new namespaces while the pipe is open: the process id of `unshare`."""
    with subprocess.Popen(
        ["unshare", *options, "sh", "-c", script, "sh", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == "ready\n", "no namespaces: these journeys need root"
            yield process.pid
        finally:
            process.stdin.close()
            process.wait(timeout=20)
