"""A TCP client whose handshake stands still: the server has answered, and waits for his answer to that."""

import ctypes
import os
import socket
import struct

import pytest

from harness import DEADLINE

SYN, ACK = 0x02, 0x10
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27

needs_raw_tcp = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to see and to send raw TCP")


class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


def deaf(s):
    """Nothing that is sent to the socket comes to it."""
    take_nothing = Filter(0x06, 0, 0, 0)  # BPF_RET
    program = struct.pack("@HP", 1, ctypes.addressof(take_nothing))
    s.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def with_checksum(packet):
    """On the loopback device none is computed, and of what is sent raw it is looked at."""
    start = (packet[0] & 0x0f) * 4
    segment = packet[start:start + 16] + b"\0\0" + packet[start + 18:]
    pseudo = packet[12:20] + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment))
    total = struct.pack("!H", checksum(pseudo + segment + b"\0" * (len(segment) % 2)))
    return packet[:start] + segment[:16] + total + segment[18:]


class Halfway:
    """Half connected to (host, port) of IPv4 from the start, until go_on()."""

    def __init__(self, address):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        deaf(self.socket)
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as seen:
            seen.settimeout(DEADLINE)
            self.socket.connect_ex(address)
            self.answer = self.take_answer(seen, address[1], self.socket.getsockname()[1])

    @staticmethod
    def take_answer(seen, source, destination):
        while True:
            packet = seen.recv(65536)
            start = (packet[0] & 0x0f) * 4
            ports, flags = struct.unpack_from("!HH", packet, start), packet[start + 13]
            if ports == (source, destination) and flags == SYN | ACK:
                return packet

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def go_on(self):
        """Has the answer come to him once more; he is connected then."""
        self.socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, struct.pack("i", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(with_checksum(self.answer), ("127.0.0.1", 0))
        self.socket.settimeout(DEADLINE)
