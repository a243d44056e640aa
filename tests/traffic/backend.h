#pragma once

#include <netinet/in.h>

#include <string>

namespace sc::traffic {

// Serves every session as its client's plan says, on two ports: that of `listen` and the next one
// (any two for port 0), where it speaks first. Prints `{"port": ..., "banner_port": ...}`, ends
// when standard input does, prints what came of the sessions, and says whether all were right.
bool run_backend(const sockaddr_in& listen);

}  // namespace sc::traffic
