"""Send messages between two sockets of one context."""

import zmq

context = zmq.Context()


def work():
    one, other = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    port = one.bind_to_random_port("tcp://127.0.0.1")
    other.connect(f"tcp://127.0.0.1:{port}")
    for number in range(20):
        one.send(b"%d" % number)
        assert other.recv() == b"%d" % number
    one.close()
    other.close()
