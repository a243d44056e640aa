#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>

#include "base/clock.h"
#include "net/address.h"

namespace sc::api {

// Who has shown wrong tokens, by address; of IPv6 by /64, which is what one host has at least. A
// value without a clock of its own. What it bounds is guesses at secrets of a credential file that
// somebody chose: those that we make have 256 bits.
class FailedTokens {
 public:
  static constexpr std::size_t kMaxAddresses = 1024;            // more: the oldest is forgotten
  static constexpr std::chrono::minutes kKept{10};              // from an address' first failure on
  static constexpr unsigned kMost = 10;                         // then wrong ones get 429 at once
  static constexpr std::chrono::milliseconds kFirstDelay{250};  // twice as long each time
  static constexpr std::chrono::milliseconds kMostDelay{4000};

  struct Noted {
    unsigned count = 0;  // with this one
    std::chrono::milliseconds delay{0};
  };
  // Another failure: how long its answer is to be held back.
  Noted note(const net::Address& peer, base::Instant now);

  // How long wrong tokens of the address get 429; zero: they get 401. Always zero on loopback and
  // for the unix socket: a user of this host must not lock out the others, and the delay bounds it
  // too.
  std::chrono::milliseconds blocked_for(const net::Address& peer, base::Instant now) const;

  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    base::Instant since;
    unsigned count = 0;
  };
  void make_room(base::Instant now);

  std::map<std::string, Entry> entries_;
};

}  // namespace sc::api
