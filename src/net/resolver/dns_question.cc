#include "net/resolver/dns_question.h"

#include <algorithm>
#include <utility>

#include "base/result.h"
#include "base/text.h"

namespace sc::net {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostRounds = 5;  // RES_MAXRETRY of glibc

}  // namespace

DnsQuestion::DnsQuestion(loop::Loop& loop, ServerList& servers, std::string name, RecordType type,
                         milliseconds timeout, OnDone on_done)
    : loop_(loop),
      servers_(servers),
      name_(std::move(name)),
      type_(type),
      timeout_(timeout),
      on_done_(std::move(on_done)),
      order_(servers.order()),
      has_failed_(servers.size()),
      wait_(loop, [this] { on_wait_over(); }),
      deadline_(loop, [this] { give_up(); }) {
  deadline_.start(timeout_);
  send_next();
  servers_.probe(name_, type_);
}

bool DnsQuestion::may_send() const {
  const std::size_t rounds = servers_.conf().attempts.value_or(kMostRounds);
  return next_ < order_.size() * rounds && failures_ < order_.size();
}

void DnsQuestion::send_next() {
  round_ = next_ / order_.size();
  send_to(order_[next_++ % order_.size()]);
  skip_failed();
  const milliseconds patience = servers_.conf().timeout.value_or(std::chrono::seconds(5));
  is_last_wait_ = !may_send();
  wait_.start(is_last_wait_ ? patience : std::min(kFirstWait * (1 << round_), patience));
}

void DnsQuestion::skip_failed() {
  if (failures_ == order_.size()) return;
  while (has_failed_[order_[next_ % order_.size()]]) ++next_;
}

void DnsQuestion::send_to(std::size_t server) {
  const std::size_t place = sent_.size();
  sent_.push_back({server, loop_.now(), nullptr});
  sent_[place].query = servers_.ask(
      server, name_, type_, [this, place](DnsReply reply) { on_reply(place, std::move(reply)); });
}

void DnsQuestion::on_reply(std::size_t place, DnsReply reply) {
  sent_[place].query.reset();
  const std::size_t server = sent_[place].server;
  switch (reply.kind) {
    case DnsReply::Kind::found:
    case DnsReply::Kind::no_data:
    case DnsReply::Kind::not_found:
      servers_.note_answer(server);
      finish(std::move(reply));
      return;
    case DnsReply::Kind::server_failure:
      // It answers, but not this: another one may. It is not asked again for this name.
      servers_.note_answer(server);
      if (!has_failed_[server]) ++failures_;
      has_failed_[server] = true;
      skip_failed();
      failure_ = "DNS server " + servers_.address(server).ip() + " " + reply.message;
      break;
    case DnsReply::Kind::unreachable:
      ++unreachable_;
      if (reply.host_error != 0) {
        ++without_way_;
        host_error_ = reply.host_error;
      }
      servers_.note_silence(server, sent_[place].at);
      break;
    case DnsReply::Kind::silent:
      servers_.note_silence(server, sent_[place].at);
      break;
    case DnsReply::Kind::no_way:
    case DnsReply::Kind::exhausted:
      is_exhausted_ = true;
      host_error_ = reply.host_error;
      failure_ = reply.message;
      break;
  }
  const bool is_round_over = next_ / order_.size() != round_;
  if (may_send() && !is_round_over) {
    send_next();
  } else if (!is_any_open() && !is_worth_waiting()) {
    give_up();
  }
}

// No query is open. A server that was unreachable may be starting, so all get a second query.
bool DnsQuestion::is_worth_waiting() const {
  return may_send() && failures_ == 0 && !is_exhausted_ && unreachable_ < 2 * order_.size();
}

void DnsQuestion::on_wait_over() {
  for (const Sent& each : sent_)
    if (each.query) servers_.note_silence(each.server, each.at);
  if (is_last_wait_ || !may_send()) {
    give_up();
  } else {
    send_next();
  }
}

bool DnsQuestion::is_any_open() const {
  return std::any_of(sent_.begin(), sent_.end(),
                     [](const Sent& each) { return each.query != nullptr; });
}

void DnsQuestion::give_up() {
  DnsReply reply;
  if (is_exhausted_) {
    reply.kind = DnsReply::Kind::exhausted;
    reply.host_error = host_error_;
    reply.message = failure_;
  } else if (!failure_.empty()) {
    reply.kind = DnsReply::Kind::server_failure;
    reply.message = failure_;
  } else if (without_way_ > 0 && without_way_ == sent_.size()) {
    reply.kind = DnsReply::Kind::no_way;
    reply.host_error = host_error_;
    reply.message = base::describe_errno(
        "this host has no way to a DNS server (" + servers_.names() + ")", host_error_);
  } else {
    reply.kind = DnsReply::Kind::silent;
    reply.message = unreachable_ >= sent_.size()
                        ? "no DNS server can be reached (" + servers_.names() + ")"
                        : "no DNS server answered within " + base::format_duration(timeout_) +
                              " (" + servers_.names() + ")";
  }
  finish(std::move(reply));
}

void DnsQuestion::finish(DnsReply reply) {
  auto done = std::move(on_done_);  // done may destroy this: touch nothing after
  wait_.stop();
  deadline_.stop();
  sent_.clear();
  done(std::move(reply));
}

}  // namespace sc::net
