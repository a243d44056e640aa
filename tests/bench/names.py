#!/usr/bin/env python3
"""What sessions to many names cost: names.py [--names 1000] [--rate 10000] [--seconds 10] [--ttl 1]

Runs the service, a DNS server, clients and backends in namespaces of their own (root). Each name has a stream.
Prints how many sessions were served in a second, how many queries the DNS server got, and how long a message
waited for each worker (worker_loop_lag_seconds) meanwhile. STREAM_CONDUCTOR is the binary.
"""

import argparse
import multiprocessing
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import dns  # noqa: E402
import harness  # noqa: E402

FIRST_PORT = 20000
BACKEND_PORT = 7000
CLIENTS = 2  # processes


def serve_backend():
    """Sends a byte to each client and ends the connection."""
    listener = socket.create_server(("127.0.0.1", BACKEND_PORT), backlog=4096, reuse_port=True)
    while True:
        client, _ = listener.accept()
        client.send(b"x")
        client.close()


def load(number, options, results):
    """A share of the sessions, evenly over time and over the streams; how many were served, and how many failed."""
    rate = options.rate / CLIENTS
    begun = time.monotonic()
    poll = select.epoll()
    open_socks = {}
    started = served = failed = 0
    while (now := time.monotonic() - begun) < options.seconds or open_socks and now < options.seconds + 10:
        while now < options.seconds and started < now * rate and len(open_socks) < 500:
            sock = socket.socket()
            sock.setblocking(False)
            port = FIRST_PORT + (started * CLIENTS + number) % options.names
            sock.connect_ex(("127.0.0.1", port))
            open_socks[sock.fileno()] = sock
            poll.register(sock, select.EPOLLIN)
            started += 1
        for fd, _ in poll.poll(0.001):
            sock = open_socks.pop(fd)
            try:
                got = sock.recv(16)
            except OSError:
                got = b""
            served += got == b"x"
            failed += got != b"x"
            sock.close()
    results.put((served, failed + len(open_socks)))


def metric(service, name):
    text = service.get("/metrics").body.decode()
    return [float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name)]


def serve_dns(options, counts, stop):
    server = dns.DnsServer()
    for number in range(options.names):
        server.set(f"n{number}.test", ["127.0.0.1"], ttl=options.ttl)
    while not stop.wait(0.2):
        counts["a"] = sum(count for (_, kind), count in server.asked.items() if kind == dns.A)
        counts["aaaa"] = sum(count for (_, kind), count in server.asked.items() if kind == dns.AAAA)
    server.close()


def measure(options, service, counts):
    results = multiprocessing.Queue()
    loads = [multiprocessing.Process(target=load, args=(number, options, results))
             for number in range(CLIENTS)]
    before = dict(counts)
    for process in loads:
        process.start()
    lags = []
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        lags += metric(service, "stream_conductor_worker_loop_lag_seconds{")
        time.sleep(0.25)
    done = [results.get() for _ in loads]
    for process in loads:
        process.join()
    served, failed = (sum(each) for each in zip(*done))
    print(f"sessions: {served / options.seconds:,.0f}/s of {options.rate:,} wanted, {failed} failed")
    for kind in ("a", "aaaa"):
        print(f"{kind.upper()} queries: {(counts[kind] - before[kind]) / options.seconds:,.0f}/s, "
              f"{service.workers} workers")
    print(f"loop lag of workers: median {statistics.median(lags) * 1000:.2f} ms, most {max(lags) * 1000:.2f} ms")
    for name in ("queries", "hits", "stale", "failures"):
        print(f"resolver_{name}_total: {metric(service, f'stream_conductor_resolver_{name}_total ')[0]:,.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("names", 1000), ("rate", 10000), ("seconds", 10), ("ttl", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    case = harness.EndToEnd()
    case.setUp()
    resolv_conf = dns.HostFile("/etc/resolv.conf", "nameserver 127.0.0.1\nsearch .\n")
    subprocess.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 60999"], check=False)
    manager = multiprocessing.Manager()
    counts, stop = manager.dict(a=0, aaaa=0), multiprocessing.Event()
    helpers = [multiprocessing.Process(target=serve_dns, args=(options, counts, stop))]
    helpers += [multiprocessing.Process(target=serve_backend, daemon=True) for _ in range(2)]
    for helper in helpers:
        helper.start()
    try:
        service = case.start_service(port_count=options.names, first_port=FIRST_PORT)
        for number in range(options.names):
            service.create(FIRST_PORT + number, f"n{number}.test:{BACKEND_PORT}")
        measure(options, service, counts)
        service.stop()
    finally:
        stop.set()
        helpers[0].join()
        for helper in helpers[1:]:
            helper.kill()
            helper.join()
        manager.shutdown()
        resolv_conf.close()
        case.doCleanups()


if __name__ == "__main__" and dns.run_in_namespaces():
    main()
