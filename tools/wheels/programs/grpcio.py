"""Four channels call a server of four threads in the same process."""

import concurrent.futures

import grpc


class Echo(grpc.GenericRpcHandler):
    """Answers any call with its request."""

    def service(self, _details):
        """Return the one handler."""
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)


server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=(Echo(),))
port = server.add_insecure_port("localhost:0")
server.start()


def work():
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        echo = channel.unary_unary("/any/method")
        for number in range(10):
            text = b"%d" % number
            assert echo(text, timeout=60) == text
