"""Which processes have the other end of a connection on the loopback interface?  Linux tells; elsewhere none is named."""

import glob
import os

ESTABLISHED = "01"


def holders(here, there):
    """The processes at port "there" of a connection to port "here": their ids and command lines."""
    inode = inode_of(there, here)
    return [described(process) for process in glob.glob("/proc/[0-9]*") if inode and has_socket(process, inode)]


def inode_of(port, other):
    try:
        with open("/proc/net/tcp", encoding="ascii") as file:
            connections = [line.split() for line in file][1:]
    except OSError:
        return None
    for connection in connections:
        ports = [int(address.split(":")[1], 16) for address in connection[1:3]]
        if connection[3] == ESTABLISHED and ports == [port, other]:
            return connection[9]
    return None


def has_socket(process, inode):
    try:
        return any(os.readlink(descriptor) == f"socket:[{inode}]" for descriptor in glob.glob(process + "/fd/*"))
    except OSError:  # it has ended, or is another user's
        return False


def described(process):
    try:
        with open(process + "/cmdline", "rb") as file:
            return f"{os.path.basename(process)} {file.read().replace(bytes(1), b' ').decode(errors='replace').strip()}"
    except OSError:
        return os.path.basename(process)
