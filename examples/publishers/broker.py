#!/usr/bin/env python3
"""What would a broker be sent?  Listens on the port that is given, shows each event that comes, and answers that it has it."""

import socketserver
import sys


class Broker(socketserver.StreamRequestHandler):
    def handle(self):
        for event in self.rfile:
            sys.stdout.buffer.write(event)
            sys.stdout.flush()
            self.wfile.write(b"ok\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Broker).serve_forever()
