#include "net/resolver/server_list.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sc::net {

ServerList::ServerList(loop::Loop& loop, const ResolvConf& conf, std::chrono::milliseconds timeout,
                       std::atomic<std::uint64_t>& sent)
    : loop_(loop), conf_(conf), sent_(sent) {
  const DnsServer::Options options{timeout, conf.use_vc, conf.edns0};
  for (const Address& address : conf.servers)
    servers_.emplace_back().dns = std::make_unique<DnsServer>(loop, address, options);
}

std::vector<std::size_t> ServerList::order() {
  const std::size_t first = conf_.rotate ? turn_++ % servers_.size() : 0;
  std::vector<std::size_t> out;
  for (const bool answers : {true, false})
    for (std::size_t i = 0; i < servers_.size(); ++i)
      if (const std::size_t server = (first + i) % servers_.size();
          servers_[server].answers == answers)
        out.push_back(server);
  return out;
}

void ServerList::probe(const std::string& name, RecordType type) {
  if (are_silent()) return;  // every query is a probe
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].answers || servers_[i].probe_at > loop_.now()) continue;
    servers_[i].probe_at = loop_.now() + kProbeEvery;
    servers_[i].probe = ask(i, name, type, [this, i](const DnsReply& reply) {
      servers_[i].probe.reset();
      if (reply.kind < DnsReply::Kind::unreachable) note_answer(i);
    });
    return;
  }
}

std::unique_ptr<DnsServer::Query> ServerList::ask(std::size_t server, const std::string& name,
                                                  RecordType type, DnsServer::OnReply on_reply) {
  sent_.fetch_add(1, std::memory_order_relaxed);
  return servers_.at(server).dns->ask(name, type, std::move(on_reply));
}

bool ServerList::are_silent() const {
  return std::none_of(servers_.begin(), servers_.end(),
                      [](const Server& each) { return each.answers; });
}

std::string ServerList::names() const {
  std::string out;
  for (const Server& each : servers_) out += (out.empty() ? "" : ", ") + each.dns->address().ip();
  return out;
}

void ServerList::note_answer(std::size_t server) {
  Server& known = servers_.at(server);
  if (!known.answers && known.logged_at == known.silent_at)
    base::log::info("name server answers again", {{"server", address(server).to_string()}});
  known.answers = true;
  known.answered_at = loop_.now();
}

void ServerList::note_silence(std::size_t server, std::chrono::milliseconds since) {
  Server& known = servers_.at(server);
  if (!known.answers || known.answered_at >= since) return;
  known.answers = false;
  known.silent_at = loop_.now();
  known.probe_at = loop_.now() + kProbeEvery;
  if (known.logged_at && loop_.now() - *known.logged_at < kLogEvery) return;
  known.logged_at = known.silent_at;
  base::log::warning("name server does not answer", {{"server", address(server).to_string()}});
}

}  // namespace sc::net
