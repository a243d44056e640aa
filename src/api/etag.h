#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/problem.h"
#include "core/stream.h"
#include "http/message.h"

namespace sc::api {

// Strong entity tags (RFC 9110 section 8.8.3), quotes included. A tag stands for everything that a
// stream's JSON says but the live counters, which do not count: nobody could ever change a stream
// under If-Match, were its tag another one with each byte. Whether its sessions still run does not
// count either where it is disabled, as the one who changes it next is not to wait for that.
std::string tag_of(const core::Stream& stream);
// Of a text: a document, or Conductor::version(), which stands for the whole collection and so for
// every list of it, whatever its filter.
std::string tag_of(std::string_view text);

// If-Match and If-None-Match of a request. A value.
class Conditions {
 public:
  // malformed_request: a header is no list of tags.
  static Outcome<Conditions> read(const http::Request& request);

  // May a change go on, where what it changes has this tag, or is not there? precondition: no.
  base::Result<void> check(const std::optional<std::string>& present) const;
  // If-Match alone, of what does not change anything.
  base::Result<void> check_match(const std::optional<std::string>& present) const;
  // Does the asker have this representation already (304)?
  bool is_known(std::string_view tag) const;

 private:
  struct Tag {
    bool is_weak = false;
    std::string text;  // with its quotes
  };
  struct Tags {
    bool is_any = false;  // `*`
    std::vector<Tag> tags;
  };
  static Outcome<std::optional<Tags>> read_tags(const http::Request& request,
                                                std::string_view name);

  std::optional<Tags> match_;
  std::optional<Tags> none_match_;
};

}  // namespace sc::api
