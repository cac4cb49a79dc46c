"""Cuts the network for every Python that is started with this folder on its path: this machine alone is reachable."""

import errno
import ipaddress
import socket

_connect, _connect_ex, _sendto = socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto
_getaddrinfo = socket.getaddrinfo


def _outside(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host in (None, "", "localhost", socket.gethostname()):
        return False
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True


def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and _outside(address[0]):
        raise OSError(errno.ENETUNREACH, f"the network is cut while the course is tested ({address[0]})")
    return _connect(self, address)


def connect_ex(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6) and _outside(address[0]):
        return errno.ENETUNREACH
    return _connect_ex(self, address)


def sendto(self, data, *rest):
    if self.family in (socket.AF_INET, socket.AF_INET6) and _outside(rest[-1][0]):
        raise OSError(errno.ENETUNREACH, f"the network is cut while the course is tested ({rest[-1][0]})")
    return _sendto(self, data, *rest)


def getaddrinfo(host, *arguments, **named):
    if _outside(host):
        raise socket.gaierror(socket.EAI_AGAIN, f"the network is cut while the course is tested ({host})")
    return _getaddrinfo(host, *arguments, **named)


socket.socket.connect, socket.socket.connect_ex, socket.socket.sendto = connect, connect_ex, sendto
socket.getaddrinfo = getaddrinfo
