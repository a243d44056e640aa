#include "api/etag.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "api/header_list.h"
#include "base/text.h"

namespace sc::api {
namespace {

// FNV-1a, 64 bits: whoever may write a stream gains nothing by two of them with one tag.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    add_byte(0xFF);  // of no UTF-8 text, so that it ends this one
  }
  void add(std::uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) add_byte((number >> shift) & 0xFF);
  }
  void add(const core::Stream& stream);

  std::string tag() const {
    static constexpr std::string_view kHex = "0123456789abcdef";
    std::string text = "\"";
    for (int shift = 60; shift >= 0; shift -= 4) text += kHex[(value_ >> shift) & 15];
    return text + "\"";
  }

 private:
  void add_byte(std::uint64_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }
  void add_time(base::WallTime time) {
    add(static_cast<std::uint64_t>(time.time_since_epoch().count()));
  }
  template <class T>
  void add_optional(const std::optional<T>& value) {
    add(value ? 1U : 0U);
    if (!value) return;
    if constexpr (std::is_same_v<T, base::WallTime>) {
      add_time(*value);
    } else {
      add(static_cast<std::uint64_t>(value->count()));
    }
  }

  std::uint64_t value_ = 0xcbf29ce484222325;
};

void Hash::add(const core::Stream& stream) {
  const core::StreamSpec& spec = stream.spec;
  add(std::uint64_t{spec.port});
  add(spec.listen_address);
  add(spec.backend.host);
  add(std::uint64_t{spec.backend.port});
  add(spec.label);
  add(spec.note);
  add(spec.owner);
  add(spec.enabled ? 1U : 0U);
  add_optional(spec.expires_at);
  add(std::uint64_t{spec.max_sessions});
  add_optional(spec.connect_timeout);
  add_optional(spec.idle_timeout);
  add_optional(spec.lifetime);
  add(core::to_string(spec.durable));
  const bool drains_disabled = !spec.enabled && stream.state == core::StreamState::draining;
  add(core::to_string(drains_disabled ? core::StreamState::disabled : stream.state));
  add(stream.reason);
  add_time(stream.created_at);
  add_time(stream.updated_at);
  add(stream.created_by);
  add(static_cast<std::uint64_t>(stream.revision));
}

}  // namespace

std::string tag_of(const core::Stream& stream) {
  Hash hash;
  hash.add(stream);
  return hash.tag();
}

std::string tag_of(std::string_view text) {
  Hash hash;
  hash.add(text);
  return hash.tag();
}

Outcome<std::optional<Conditions::Tags>> Conditions::read_tags(const http::Request& request,
                                                               std::string_view name) {
  const auto malformed = [&] {
    return Problem{ProblemType::malformed_request,
                   std::string(name) + R"( is * or a list of tags such as "5f3a", "c01d")",
                   {},
                   {}};
  };
  const auto values = header_list(request, name);
  if (!values) return malformed();
  if (values->empty()) {
    if (request.header(name) != nullptr) return malformed();
    return std::optional<Tags>();
  }
  Tags tags;
  for (std::string_view value : *values) {
    if (value == "*" && values->size() == 1) {
      tags.is_any = true;
      continue;
    }
    const bool is_weak = value.starts_with("W/");
    if (is_weak) value.remove_prefix(2);
    if (value.size() < 2 || value.front() != '"' || value.find('"', 1) != value.size() - 1)
      return malformed();
    tags.tags.push_back({is_weak, std::string(value)});
  }
  return std::optional<Tags>(std::move(tags));
}

Outcome<Conditions> Conditions::read(const http::Request& request) {
  auto match = read_tags(request, "If-Match");
  if (!match) return match.error();
  auto none_match = read_tags(request, "If-None-Match");
  if (!none_match) return none_match.error();
  Conditions conditions;
  conditions.match_ = std::move(*match);
  conditions.none_match_ = std::move(*none_match);
  return conditions;
}

// By strong comparison.
base::Result<void> Conditions::check_match(const std::optional<std::string>& present) const {
  if (!match_) return {};
  const auto& tags = match_->tags;
  const bool fits =
      present && (match_->is_any || std::any_of(tags.begin(), tags.end(), [&](const Tag& tag) {
                    return !tag.is_weak && tag.text == *present;
                  }));
  if (fits) return {};
  return base::Error{base::Errc::precondition,
                     present ? "it is not any more what If-Match says: its tag is " + *present
                             : "it is not there, and If-Match says that it is",
                     {}};
}

// RFC 9110 section 13.2.2: If-Match first.
base::Result<void> Conditions::check(const std::optional<std::string>& present) const {
  if (auto fits = check_match(present); !fits) return fits;
  if (present && is_known(*present))
    return base::Error{base::Errc::precondition,
                       "it is there, and If-None-Match says that it is not: its tag is " + *present,
                       {}};
  return {};
}

// By weak comparison.
bool Conditions::is_known(std::string_view tag) const {
  if (!none_match_) return false;
  return none_match_->is_any || std::any_of(none_match_->tags.begin(), none_match_->tags.end(),
                                            [&](const Tag& each) { return each.text == tag; });
}

}  // namespace sc::api
