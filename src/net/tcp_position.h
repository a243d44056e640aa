#pragma once

#include <cstdint>
#include <optional>

namespace sc::net {

// How far a connection's two streams have got, in bytes from some place that stays the same for as
// long as the socket lives, whichever process has it: two answers tell what moved between them,
// also where nobody lived to count it. From TCP_INFO (RFC 4898's octets) and what waits in the
// socket (tcp(7): SIOCINQ, SIOCOUTQ). Exact while no segment arrives between the calls, so they are
// repeated until none did.
//
// Nothing: the socket is no TCP connection, the kernel does not tell, or too much arrives. Three
// calls to the kernel each, if nothing arrives; any thread.

// Bytes that were taken out of the socket. Nothing also when it has failed and nobody was told yet
// (SO_ERROR): whether an end came before the failure, and counts as a byte, cannot be seen then.
std::optional<std::uint64_t> bytes_read(int fd);
// Bytes that the socket has taken, sent or not, before its end was written (SHUT_WR).
std::optional<std::uint64_t> bytes_written(int fd);

}  // namespace sc::net
