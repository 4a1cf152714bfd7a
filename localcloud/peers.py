"""Whose connection it is. Pulumi's engine has no token to show to a provider that it attaches to, so the kernel tells.

Source: proc(5), /proc/net/tcp and tcp6. Where a system has no such tables, any user of the machine can connect.
"""

import os
import socket
import sys
from pathlib import Path

TABLES = Path("/proc/net/tcp"), Path("/proc/net/tcp6")


def is_own(peer: str, port: int) -> bool:
    """Whether this process's user holds the other end of a loopback connection to `port`.

    peer: as gRPC names it, `ipv4:127.0.0.1:43210`
    """
    tables = [table.read_text(encoding="ascii") for table in TABLES if table.exists()]
    if not tables:
        return True
    host, _, their_port = peer.removeprefix("ipv4:").rpartition(":")
    ends = [_end(host, int(their_port)), _end(host, port)]
    connections = [line.split() for table in tables for line in table.splitlines()]
    # In the second table, for a client's socket may be of the newer kind, more stands before an IPv4 address.
    users = {int(fields[7]) for fields in connections if [field[-len(ends[0]) :] for field in fields[1:3]] == ends}
    return users == {os.getuid()}


def _end(host: str, port: int) -> str:
    """An address as the table writes it: the four bytes as one number of this machine, in hexadecimal."""
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
