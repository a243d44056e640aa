#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/resolver/dns_question.h"
#include "net/resolver/server_list.h"

namespace sc::net {

// A name asked of DNS: its candidates of the search list one after another, for each IPv4 and IPv6
// addresses at the same time. The first candidate with an address wins, as with glibc. If
// a candidate does not exist, has no address or cannot be resolved by the servers, the next
// candidate follows. Silence ends the search. Starts when made; destruction cancels. Loop's thread
// only.
class Inquiry {
 public:
  // Both addresses of a family that does not answer wait for the other one at most this long (RFC
  // 8305 section 3: Resolution Delay).
  static constexpr std::chrono::milliseconds kResolutionDelay{50};

  struct Families {
    bool v4 = true;
    bool v6 = true;
  };
  struct Result {
    // What each family's question came to; `silent` and without message: it was not asked, or it
    // has not been answered yet.
    DnsReply v4;
    DnsReply v6;
    std::string candidate;  // that was asked last
    bool is_final = true;   // false: one family has addresses, the other one is still being asked
  };
  // Once or, if the first Result is not final, twice. Never from inside the constructor. May
  // destroy the Inquiry.
  using OnResult = base::Callback<void(Result)>;

  Inquiry(loop::Loop& loop, std::shared_ptr<ServerList> servers,
          std::vector<std::string> candidates, Families families, std::chrono::milliseconds timeout,
          OnResult on_result);
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

 private:
  void ask_next();
  void on_reply(RecordType type, DnsReply reply);
  void on_both();
  void on_delay_over();
  Result result(bool is_final) const;
  void finish();

  loop::Loop& loop_;
  const std::shared_ptr<ServerList> servers_;
  const std::vector<std::string> candidates_;
  const Families families_;
  const std::chrono::milliseconds ends_at_;  // loop time
  OnResult on_result_;
  std::size_t next_ = 0;                                   // candidate
  std::array<std::unique_ptr<DnsQuestion>, 2> questions_;  // by RecordType; null: answered
  std::array<DnsReply, 2> replies_;
  DnsReply failure_;  // of an earlier candidate: servers failed to resolve it
  loop::Timer delay_;
};

}  // namespace sc::net
