#include <algorithm>
#include <string>
#include <utility>

#include "base/log.h"
#include "net/resolver/engine.h"

// Notices changes of the resolver's files, and names that are not in use any more.
namespace sc::net {
namespace {

using std::chrono::milliseconds;

// The files are looked at no more often than this, however many sessions ask.
constexpr milliseconds kLookEvery{100};
constexpr std::size_t kSweepEvery = 16;  // watches

}  // namespace

void Resolver::Engine::on_watch() {
  look_at_files();
  if (++sweeps_ % kSweepEvery == 0) sweep();
  if (!entries_.empty() || !former_.empty()) watch_timer_.start(kWatchEvery);
}

void Resolver::Engine::look_at_files() {
  if (loop_.now() - looked_at_ < kLookEvery) return;
  looked_at_ = loop_.now();
  const base::Pulse::Job job(resolver_.pulse_);  // the disk of the files may be slow
  if (hosts_.refresh()) {
    hosts_index_ = HostsIndex(hosts_.content());
    const base::Instant now = clock_.steady();
    for (const auto& [text, entry] : entries_) expire(*entry, now);
  }
  if (!system_ && resolv_conf_.refresh() && servers_) use_servers();
}

// Makes the servers that resolv.conf has now the ones to ask.
void Resolver::Engine::use_servers() {
  if (!servers_) resolv_conf_.refresh();
  const ResolvConf conf = parse_resolv_conf(resolv_conf_.content(), environment_);
  if (servers_ && servers_->conf() == conf) return;
  if (servers_) {
    base::log::info("resolv.conf has changed",
                    {{"name_servers", std::to_string(conf.servers.size())}});
    former_.push_back(std::move(servers_));
  }
  servers_ = std::make_shared<ServerList>(loop_, conf, options_.timeout, counters_.queries);
  if (former_.empty()) return;
  const base::Instant now = clock_.steady();
  for (const auto& [text, entry] : entries_) {
    if (entry->source != NameSource::dns) continue;
    entry->v4.until = entry->v6.until = {};
    entry->expires = std::min(entry->expires, now);
    expire(*entry, now);
    if (entry->inquiry) start_inquiry(*entry);
  }
}

// Sessions ask again; what is known stays as a reserve.
void Resolver::Engine::expire(Entry& entry, base::Instant now) {
  const auto name = entry.name.lock();
  const auto answer = name ? name->answer() : nullptr;
  if (!answer) return;
  NameAnswer expired = *answer;
  expired.usable_until = std::min(expired.usable_until, now);
  publish(*name, std::move(expired));
  if (entry.source != NameSource::hosts && entry.source != NameSource::loopback) return;
  entry.v4 = entry.v6 = {};
  entry.source = NameSource::dns;
  entry.expires = {};
}

void Resolver::Engine::note_trouble(const std::string& trouble) {
  if (trouble == trouble_) return;
  trouble_ = trouble;
  if (resolver_.on_trouble_) resolver_.on_trouble_(trouble);
}

void Resolver::Engine::sweep() {
  for (auto next = entries_.begin(); next != entries_.end();) {
    Entry& entry = *next->second;
    if (entry.name.expired() && !entry.is_running && !entry.is_queued) {
      unschedule(entry);
      next = entries_.erase(next);
    } else {
      ++next;
    }
  }
  if (entries_.empty()) note_trouble({});  // no name needs a server
  std::erase_if(former_, [](const auto& list) { return list.use_count() == 1; });
  const std::lock_guard lock(resolver_.mutex_);
  std::erase_if(resolver_.names_, [](const auto& each) { return each.second.expired(); });
}

}  // namespace sc::net
