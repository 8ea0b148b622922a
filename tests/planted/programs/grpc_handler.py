"""Two calls are handled at once, and both handlers count without a lock."""

import concurrent.futures

import grpc
import planted


class Count(grpc.GenericRpcHandler):
    """Counts each call."""

    def service(self, _details):
        """Return the one handler."""
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: planted.count() or request)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=(Count(),))
port = server.add_insecure_port("localhost:0")
server.start()


def work(_number):
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        assert channel.unary_unary("/any/method")(b"text", timeout=60) == b"text"
