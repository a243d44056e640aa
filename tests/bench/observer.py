"""`observer.py API-PORT`: does what a Prometheus and an open page do, until its input ends."""

import http.client
import select
import sys
import time

SCRAPE_SECONDS = 1  # Prometheus asks every 15 s as a rule
PAGE_SECONDS = 2
PAGE = ("/v1/status", "/v1/streams?limit=100", "/v1/sessions?limit=100")
EVENTS = b"GET /v1/events?types=stream,failure,session HTTP/1.1\r\nHost: localhost\r\n\r\n"


def main():
    port = int(sys.argv[1])
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    events = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    events.connect()
    events.sock.sendall(EVENTS)
    if b" 200 " not in events.sock.recv(65536):
        raise SystemExit("there are no events")
    print("watching", flush=True)
    scrape_at = page_at = time.monotonic()
    while True:
        now = time.monotonic()
        if now >= scrape_at:
            get(client, "/metrics")
            scrape_at = now + SCRAPE_SECONDS
        if now >= page_at:
            for path in PAGE:
                get(client, path)
            page_at = now + PAGE_SECONDS
        wait = max(0, min(scrape_at, page_at) - time.monotonic())
        ready = select.select([sys.stdin, events.sock], [], [], wait)[0]
        if sys.stdin in ready:
            return
        if events.sock in ready and not events.sock.recv(1 << 20):
            raise SystemExit("the events have ended")


def get(client, path):
    client.request("GET", path)
    answer = client.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status}")


if __name__ == "__main__":
    main()
