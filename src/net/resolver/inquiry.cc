#include "net/resolver/inquiry.h"

#include <algorithm>
#include <utility>

namespace sc::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLeast{1};  // of time for a candidate

bool is_absent(const DnsReply& reply) {
  return reply.kind == DnsReply::Kind::no_data || reply.kind == DnsReply::Kind::not_found;
}

}  // namespace

Inquiry::Inquiry(loop::Loop& loop, std::shared_ptr<ServerList> servers,
                 std::vector<std::string> candidates, Families families, milliseconds timeout,
                 OnResult on_result)
    : loop_(loop),
      servers_(std::move(servers)),
      candidates_(std::move(candidates)),
      families_(families),
      ends_at_(loop.now() + timeout),
      on_result_(std::move(on_result)),
      delay_(loop, [this] { on_delay_over(); }) {
  ask_next();
}

void Inquiry::ask_next() {
  const std::string& name = candidates_.at(next_++);
  const milliseconds left = std::max(ends_at_ - loop_.now(), kLeast);
  const std::array<bool, 2> wanted{families_.v4, families_.v6};
  for (const RecordType type : {RecordType::a, RecordType::aaaa}) {
    const auto at = static_cast<std::size_t>(type);
    replies_.at(at) = {};
    if (!wanted.at(at)) continue;
    questions_.at(at) = std::make_unique<DnsQuestion>(
        loop_, *servers_, name, type, left,
        [this, type](DnsReply reply) { on_reply(type, std::move(reply)); });
  }
}

void Inquiry::on_reply(RecordType type, DnsReply reply) {
  const auto at = static_cast<std::size_t>(type);
  questions_.at(at).reset();
  const bool is_found = reply.kind == DnsReply::Kind::found;
  replies_.at(at) = std::move(reply);
  const bool is_other_open = questions_.at(1 - at) != nullptr;
  if (!is_other_open) {
    on_both();
  } else if (is_found) {
    delay_.start(kResolutionDelay);
  }
}

void Inquiry::on_both() {
  delay_.stop();
  const bool is_found = std::any_of(replies_.begin(), replies_.end(), [](const DnsReply& each) {
    return each.kind == DnsReply::Kind::found;
  });
  if (is_found) return finish();
  const auto failed = std::find_if(replies_.begin(), replies_.end(), [](const DnsReply& each) {
    return !each.message.empty() && !is_absent(each);
  });
  if (failed != replies_.end() && failed->kind != DnsReply::Kind::server_failure) return finish();
  if (failed != replies_.end() && failure_.message.empty()) failure_ = *failed;
  if (next_ == candidates_.size()) return finish();
  ask_next();
}

void Inquiry::on_delay_over() { on_result_(result(false)); }

Inquiry::Result Inquiry::result(bool is_final) const {
  return {replies_[0], replies_[1], candidates_.at(next_ - 1), is_final};
}

void Inquiry::finish() {
  Result last = result(true);
  // That a candidate does not exist says nothing if servers failed to resolve an earlier one.
  if (!failure_.message.empty() && last.v4.kind != DnsReply::Kind::found &&
      last.v6.kind != DnsReply::Kind::found)
    last.v4 = failure_;
  auto done = std::move(on_result_);  // done may destroy this: touch nothing after
  done(std::move(last));
}

}  // namespace sc::net
