"""Serialize and parse messages of its own."""

from google.protobuf import struct_pb2


def work():
    message = struct_pb2.Struct()
    message.update({str(number): number for number in range(100)})
    assert struct_pb2.Struct.FromString(message.SerializeToString()) == message
