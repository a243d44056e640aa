#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace sc::test {

// How a DNS server answers one question.
struct DnsScript {
  enum class How : unsigned char {
    answers,
    is_silent,
    truncates,      // by UDP; by TCP it answers
    sends_garbage,  // the id of the query, and then no DNS message
    has_wrong_id,
  };
  How how = How::answers;
  int rcode = 0;                       // 2: SERVFAIL, 3: NXDOMAIN, 5: REFUSED
  std::vector<std::string> addresses;  // of the question's type
  std::uint32_t ttl = 60;
  std::vector<std::string> aliases;  // a CNAME chain from the name to the owner of the addresses
  std::chrono::milliseconds delay{0};
};

// A DNS server on UDP and TCP, on a thread of its own. A question without a script is answered by
// NODATA. Any thread.
class DnsScriptServer {
 public:
  enum class Type : std::uint16_t { a = 1, aaaa = 28 };

  // Port 0: one that is free.
  explicit DnsScriptServer(const std::string& ip = "127.0.0.1", std::uint16_t port = 0);
  DnsScriptServer(const DnsScriptServer&) = delete;
  DnsScriptServer& operator=(const DnsScriptServer&) = delete;
  ~DnsScriptServer();

  std::uint16_t port() const { return port_; }
  void set(const std::string& name, Type type, DnsScript script);
  // A and AAAA alike.
  void set(const std::string& name, const DnsScript& script);
  // How often it was asked.
  int asked(const std::string& name, Type type) const;
  int asked() const;
  int asked_by_tcp() const;

 private:
  using Question = std::pair<std::string, std::uint16_t>;
  struct Due {
    std::chrono::steady_clock::time_point at;
    std::string message;
    std::string to;  // a sockaddr
  };

  void run();
  void on_datagram();
  void on_stream();
  // Empty: no reply.
  std::string reply_to(const std::string& query, bool is_tcp, std::chrono::milliseconds& delay);

  base::Fd udp_;
  base::Fd tcp_;
  base::Fd stop_;  // an eventfd
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;  // guards the next three
  std::map<Question, DnsScript> scripts_;
  std::map<Question, int> asked_;
  int by_tcp_ = 0;
  std::vector<Due> due_;  // the thread's
  std::thread thread_;
};

}  // namespace sc::test
