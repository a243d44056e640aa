#include "net/resolver/engine.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "net/resolver/hosts_file.h"
#include "net/resolver/resolver_client.h"

namespace sc::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kRelaxed = std::memory_order_relaxed;

// Look-ups ahead leave most threads of SystemLookup to names that sessions wait for.
constexpr std::size_t kMostAheadOfSystem = 8;
// A name is looked up again ahead of its expiry by a tenth of its TTL, at most this long before.
constexpr seconds kMostLead{30};
// Stale names that no session used lately are looked up again this often.
constexpr seconds kIdleStaleRetry{30};
// A look-up that begins again late, as resolv.conf has changed or a family is gone, has this long.
constexpr milliseconds kLeastAgain{1000};

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing sets it
  return value == nullptr ? std::string() : value;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

NameAnswer::Failure to_failure(DnsReply::Kind kind) {
  switch (kind) {
    case DnsReply::Kind::silent:
    case DnsReply::Kind::unreachable:
      return NameAnswer::Failure::silent;
    case DnsReply::Kind::no_way:
      return NameAnswer::Failure::no_way;
    case DnsReply::Kind::exhausted:
      return NameAnswer::Failure::exhausted;
    case DnsReply::Kind::server_failure:
      return NameAnswer::Failure::broken;
    case DnsReply::Kind::found:
    case DnsReply::Kind::no_data:
    case DnsReply::Kind::not_found:
      break;
  }
  return NameAnswer::Failure::not_found;
}

bool was_asked(const DnsReply& reply) {
  return reply.kind == DnsReply::Kind::found || !reply.message.empty();
}

}  // namespace

Resolver::Engine::Engine(Resolver& resolver)
    : resolver_(resolver),
      options_(resolver.options_),
      clock_(resolver.clock_),
      counters_(resolver.counters_),
      environment_{environment("LOCALDOMAIN"), environment("RES_OPTIONS"), host_name(),
                   resolver.options_.dns_port},
      hosts_(options_.hosts_path),
      resolv_conf_(options_.resolv_conf_path),
      due_timer_(loop_, [this] { on_due(); }),
      watch_timer_(loop_, [this] { on_watch(); }),
      inbox_(loop_, [this](Command command) {
        std::visit([this](auto&& each) { handle(std::forward<decltype(each)>(each)); },
                   std::move(command));
      }) {
  if (options_.mode == ResolverOptions::Mode::system)
    system_ = std::make_unique<SystemLookup>(
        [this](SystemLookup::Result result) { inbox_.send(std::move(result)); });
}

Resolver::Engine::~Engine() {
  system_.reset();  // before the inbox that its threads send to
}

void Resolver::Engine::run() {
  ::pthread_setname_np(::pthread_self(), "resolver");
  loop_.run();
}

void Resolver::Engine::handle(const Probe& command) { command.pulse->beat(); }

void Resolver::Engine::handle(const Stop&) { loop_.stop(); }

void Resolver::Engine::handle(Ask command) {
  look_at_files();
  if (!due_.empty() && due_.begin()->first <= clock_.steady()) on_due();
  Entry& entry = find_or_add(command.name);
  const auto answer = command.name->answer();
  if (command.client == nullptr) {
    if (answer || entry.is_running || entry.is_queued) return;
    entry.is_queued = true;
    ahead_.push_back(entry.text);
    start_ahead();
    return;
  }
  if (answer && clock_.steady() < answer->usable_until) {
    command.client->answered_.send(std::move(command.name));
    return;
  }
  if (entry.is_running && entry.is_partial && clock_.steady() >= entry.expires) end_look_up(entry);
  entry.waiting.push_back(command.client);
  if (!entry.is_running) {
    start(entry, false);
  } else if (std::exchange(entry.is_ahead, false)) {
    --running_ahead_;
  }
  if (entry.is_running) wait_patiently(entry);
}

Resolver::Engine::Entry& Resolver::Engine::find_or_add(const std::shared_ptr<Name>& name) {
  auto& entry = entries_[name->text()];
  if (!entry) {
    entry = std::make_unique<Entry>();
    entry->text = name->text();
    if (!watch_timer_.is_active()) watch_timer_.start(kWatchEvery);
  }
  entry->name = name;  // a new object if the previous one was destroyed
  return *entry;
}

void Resolver::Engine::start(Entry& entry, bool is_ahead) {
  const base::Instant now = clock_.steady();
  unschedule(entry);
  entry.started = now;
  if (answer_locally(entry)) return;
  if (is_invalid(entry.text))
    return on_failure(entry, NameAnswer::Failure::not_found, "host not found");
  // A change of the hosts file expires what is published; what DNS said still holds.
  if (!is_ahead && entry.source == NameSource::dns && now < entry.expires) {
    publish_found(entry, entry.expires);
    answer_waiting(entry);
    return;
  }
  entry.is_running = true;
  entry.ends_at = loop_.now() + options_.timeout;
  entry.is_ahead = is_ahead;
  if (is_ahead) ++running_ahead_;
  if (system_) {
    counters_.queries.fetch_add(1, kRelaxed);
    system_->start(entry.text);
  } else {
    start_inquiry(entry);
  }
}

// From the hosts file, and of localhost in any case.
bool Resolver::Engine::answer_locally(Entry& entry) {
  const bool is_local = is_localhost(entry.text);
  if (system_ && !is_local) return false;  // getaddrinfo reads the hosts file itself
  std::string_view name = entry.text;
  if (name.ends_with('.')) name.remove_suffix(1);
  std::vector<Address> found = hosts_index_.find(name);
  const NameSource source = found.empty() ? NameSource::loopback : NameSource::hosts;
  if (found.empty() && is_local)
    found = {*Address::parse_ip("127.0.0.1", 0), *Address::parse_ip("::1", 0)};
  if (found.empty()) return false;
  entry.v4 = entry.v6 = {};
  for (const Address& address : found)
    (address.family() == AF_INET ? entry.v4 : entry.v6).addresses.push_back(address);
  entry.source = source;
  entry.answered_at = clock_.steady();
  entry.ttl = seconds{0};
  entry.expires = base::Instant::max();
  publish_found(entry, entry.expires);
  answer_waiting(entry);
  return true;
}

void Resolver::Engine::start_inquiry(Entry& entry) {
  if (!servers_) use_servers();
  entry.is_partial = false;
  const base::Instant now = clock_.steady();
  // A look-up ahead renews what expires with the present answer.
  const base::Instant due = entry.is_ahead ? std::max(now, entry.expires) : now;
  Inquiry::Families families{entry.v4.until <= due, entry.v6.until <= due};
  if (servers_->conf().no_aaaa) families.v6 = false;
  std::vector<std::string> candidates;
  if (!entry.winner.empty() && families.v4 != families.v6) candidates.push_back(entry.winner);
  if (candidates.empty()) {
    candidates = search_candidates(servers_->conf(), entry.text);
    families = {true, !servers_->conf().no_aaaa};
  }
  entry.inquiry = std::make_unique<Inquiry>(
      loop_, servers_, std::move(candidates), families,
      std::max(entry.ends_at - loop_.now(), std::min(kLeastAgain, options_.timeout)),
      [this, &entry, families](Inquiry::Result result) {
        on_inquiry(entry, families, std::move(result));
      });
}

void Resolver::Engine::update(Family& family, DnsReply& reply, base::Instant now) const {
  if (!was_asked(reply)) return;
  if (reply.kind == DnsReply::Kind::found) {
    family.addresses = std::move(reply.addresses);
    family.ttl = std::clamp(reply.ttl, kLeastTtl, kMostTtl);
    family.answered_at = now;
    family.until = now + family.ttl;
    return;
  }
  const bool is_absent = to_failure(reply.kind) == NameAnswer::Failure::not_found;
  if (is_absent || now >= family.answered_at + family.ttl + options_.stale)
    family.addresses.clear();
  family.until = now + (family.addresses.empty() ? kAbsentFamilyTtl : kStaleRetry);
}

void Resolver::Engine::on_inquiry(Entry& entry, Inquiry::Families asked, Inquiry::Result result) {
  const base::Instant now = clock_.steady();
  if (!servers_->are_silent()) note_trouble({});
  const bool is_found =
      result.v4.kind == DnsReply::Kind::found || result.v6.kind == DnsReply::Kind::found;
  if (is_found) {
    // A former place of the name in the search list is no family of this one.
    if (entry.winner != result.candidate) entry.v4 = entry.v6 = {};
    if (entry.source != NameSource::dns) entry.v4 = entry.v6 = {};
    entry.winner = result.candidate;
    update(entry.v4, result.v4, now);
    update(entry.v6, result.v6, now);
    set_found(entry, NameSource::dns, now);
    publish_found(entry, entry.expires);
    answer_waiting(entry);
    if (!result.is_final) {
      // If the present family expires while the other one is silent, it is asked for alone.
      Family& silent = result.v4.kind == DnsReply::Kind::found ? entry.v6 : entry.v4;
      silent.until = now + (silent.addresses.empty() ? kAbsentFamilyTtl : kStaleRetry);
      entry.is_partial = true;
      return;
    }
    const milliseconds lead = std::min<milliseconds>(milliseconds(entry.ttl) / 10, kMostLead);
    schedule(entry, std::max(now + kLeastTtl, entry.expires - lead));
    end_look_up(entry);
    return;
  }
  if (asked.v4 != asked.v6 && !servers_->conf().no_aaaa) {  // now all of it
    entry.v4.until = entry.v6.until = {};
    start_inquiry(entry);
    return;
  }
  const DnsReply& v4 = result.v4;
  const DnsReply& v6 = result.v6;
  const bool is_v6_worse = was_asked(v6) && to_failure(v6.kind) != NameAnswer::Failure::not_found &&
                           to_failure(v4.kind) == NameAnswer::Failure::not_found;
  const DnsReply& telling = is_v6_worse ? v6 : v4;
  // One candidate may exist without an address while the next one does not exist.
  const bool exists = v4.kind == DnsReply::Kind::no_data || v6.kind == DnsReply::Kind::no_data;
  NameAnswer::Failure kind = to_failure(telling.kind);
  on_failure(entry, kind,
             kind == NameAnswer::Failure::not_found && exists ? "the name has no address"
                                                              : telling.message,
             telling.host_error);
}

void Resolver::Engine::set_found(Entry& entry, NameSource source, base::Instant now) {
  entry.source = source;
  entry.has_failed = false;
  entry.answered_at = now;
  entry.expires = base::Instant::max();
  entry.ttl = kMostTtl;
  for (const Family* family : {&entry.v4, &entry.v6}) {
    if (family->addresses.empty()) continue;
    entry.expires = std::min(entry.expires, std::max(family->until, now + kLeastTtl));
    if (family->until > now) entry.ttl = std::min(entry.ttl, family->ttl);
  }
}

void Resolver::Engine::handle(SystemLookup::Result result) {
  const auto found = entries_.find(result.name);
  if (found == entries_.end() || !found->second->is_running) return;
  Entry& entry = *found->second;
  if (result.addresses.empty()) {
    const auto kind = result.is_exhausted ? NameAnswer::Failure::exhausted
                      : result.is_silent  ? NameAnswer::Failure::silent
                                          : NameAnswer::Failure::not_found;
    on_failure(entry, kind, std::move(result.message));
    return;
  }
  const base::Instant now = clock_.steady();
  entry.v4 = entry.v6 = {};
  for (Address& address : result.addresses) {
    Family& family = address.family() == AF_INET ? entry.v4 : entry.v6;
    family.ttl = kSystemTtl;
    family.answered_at = now;
    family.until = now + kSystemTtl;
    family.addresses.push_back(address);
  }
  set_found(entry, NameSource::system, now);
  // In getaddrinfo's own order, which gai.conf(5) rules.
  NameAnswer answer;
  answer.addresses = std::move(result.addresses);
  answer.source = NameSource::system;
  answer.answered_at = now;
  answer.ttl = kSystemTtl;
  answer.usable_until = entry.expires;
  entry.is_published_stale = false;
  if (const auto name = entry.name.lock()) publish(*name, std::move(answer));
  answer_waiting(entry);
  schedule(entry, entry.expires - kSystemTtl / 10);
  end_look_up(entry);
}

void Resolver::Engine::on_failure(Entry& entry, NameAnswer::Failure kind, std::string message,
                                  int error) {
  const base::Instant now = clock_.steady();
  counters_.failures.fetch_add(1, kRelaxed);
  const auto name = entry.name.lock();
  if (name) note_failure(*name, {clock_.wall(), message});
  entry.has_failed = kind != NameAnswer::Failure::not_found;
  const bool is_silent = kind == NameAnswer::Failure::silent || kind == NameAnswer::Failure::no_way;
  if (is_silent && servers_ && servers_->are_silent())
    note_trouble("no DNS server answers (" + servers_->names() +
                 "): names of backends are not resolved, or their former addresses are used; "
                 "look at /etc/resolv.conf and the network");
  if (kind == NameAnswer::Failure::not_found) {
    entry.v4 = entry.v6 = {};
    entry.expires = {};
    publish_failure(entry, kind, std::move(message), error);
  } else if (now < entry.expires) {
    publish_found(entry, entry.expires);  // the Name may be a new one, which has no answer yet
    schedule(entry, std::min(entry.expires, now + kFailureTtl));
  } else if (may_be_stale(entry, now)) {
    publish_stale(entry);
    const bool is_used = name && is_used_lately(*name, entry.ttl);
    schedule(entry, now + (is_used ? kStaleRetry : kIdleStaleRetry));
  } else {
    publish_failure(entry, kind, std::move(message), error);
  }
  answer_waiting(entry);
  end_look_up(entry);
}

void Resolver::Engine::publish_found(Entry& entry, base::Instant until) {
  const auto name = entry.name.lock();
  entry.is_published_stale = false;
  if (!name) return;
  NameAnswer answer;
  answer.addresses = in_order_of_trying(entry.v4.addresses, entry.v6.addresses);
  answer.source = entry.source;
  answer.answered_at = entry.answered_at;
  answer.ttl = entry.ttl;
  answer.usable_until = until;
  publish(*name, std::move(answer));
}

bool Resolver::Engine::may_be_stale(const Entry& entry, base::Instant now) const {
  const bool has_ttl = entry.source == NameSource::dns || entry.source == NameSource::system;
  return has_ttl && !(entry.v4.addresses.empty() && entry.v6.addresses.empty()) &&
         now < entry.expires + options_.stale;
}

void Resolver::Engine::publish_stale(Entry& entry) {
  const auto name = entry.name.lock();
  if (!name) return;
  if (!entry.is_published_stale)
    base::log::warning("name servers do not answer, using stale addresses", {{"name", entry.text}});
  entry.is_published_stale = true;
  NameAnswer answer;
  answer.addresses = in_order_of_trying(entry.v4.addresses, entry.v6.addresses);
  answer.source = entry.source;
  answer.is_stale = true;
  answer.answered_at = entry.answered_at;
  answer.ttl = entry.ttl;
  answer.usable_until = entry.expires + options_.stale;
  publish(*name, std::move(answer));
}

void Resolver::Engine::publish_failure(Entry& entry, NameAnswer::Failure kind, std::string message,
                                       int error) {
  const auto name = entry.name.lock();
  entry.is_published_stale = false;
  if (!name) return;
  const base::Instant now = clock_.steady();
  NameAnswer answer;
  answer.failure = kind;
  answer.message = std::move(message);
  answer.error = error;
  answer.source = system_ ? NameSource::system : NameSource::dns;
  answer.answered_at = now;
  answer.usable_until = now + (kind == NameAnswer::Failure::not_found ? kNotFoundTtl : kFailureTtl);
  publish(*name, std::move(answer));
}

void Resolver::Engine::answer_waiting(Entry& entry) {
  entry.patience.reset();
  if (entry.started != base::Instant{}) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
        clock_.steady() - std::exchange(entry.started, {}));
    const double in_seconds = std::chrono::duration<double>(took).count();
    std::size_t at = 0;
    while (at < ResolverCounters::kBounds.size() && in_seconds > ResolverCounters::kBounds.at(at))
      ++at;
    counters_.took.at(at).fetch_add(1, kRelaxed);
    counters_.took_us.fetch_add(static_cast<std::uint64_t>(took.count()), kRelaxed);
  }
  if (entry.waiting.empty()) return;
  const auto name = entry.name.lock();  // alive while a client waits
  for (ResolverClient* client : std::exchange(entry.waiting, {}))
    if (name) client->answered_.send(name);
}

void Resolver::Engine::end_look_up(Entry& entry) {
  entry.is_running = false;
  entry.is_partial = false;
  entry.inquiry.reset();
  if (std::exchange(entry.is_ahead, false)) --running_ahead_;
  start_ahead();
}

// Waiting clients get a stale answer after kStalePatience, if there is one. A DnsQuestion ends by
// itself. A getaddrinfo() does not, so the time to wait for it is limited here.
void Resolver::Engine::wait_patiently(Entry& entry) {
  if (entry.waiting.empty() || entry.patience) return;
  const bool has_stale = may_be_stale(entry, clock_.steady());
  if (has_stale && entry.has_failed) return on_impatience(entry);  // it was waited for before
  if (!has_stale && !system_) return;
  entry.patience = std::make_unique<loop::Timer>(loop_, [this, &entry] { on_impatience(entry); });
  entry.patience->start(has_stale ? std::min(kStalePatience, options_.timeout) : options_.timeout);
}

void Resolver::Engine::on_impatience(Entry& entry) {
  if (may_be_stale(entry, clock_.steady())) {
    publish_stale(entry);
  } else {
    std::string message =
        "the system's resolver did not answer within " + base::format_duration(options_.timeout);
    counters_.failures.fetch_add(1, kRelaxed);
    if (const auto name = entry.name.lock()) note_failure(*name, {clock_.wall(), message});
    publish_failure(entry, NameAnswer::Failure::silent, std::move(message));
  }
  answer_waiting(entry);
}

void Resolver::Engine::schedule(Entry& entry, base::Instant at) {
  unschedule(entry);
  entry.due = at;
  due_.emplace(at, &entry);
  if (due_.begin()->second == &entry)
    due_timer_.start(std::chrono::ceil<milliseconds>(at - clock_.steady()));
}

void Resolver::Engine::unschedule(Entry& entry) {
  if (entry.due == base::Instant{}) return;
  due_.erase({entry.due, &entry});
  entry.due = {};
}

// Names that no session needs any more are not looked up again.
bool Resolver::Engine::is_used_lately(const Name& name, seconds ttl) const {
  return name.used_at() + 2 * ttl >= clock_.steady();
}

void Resolver::Engine::on_due() {
  const base::Instant now = clock_.steady();
  while (!due_.empty() && due_.begin()->first <= now) {
    Entry& entry = *due_.begin()->second;
    unschedule(entry);
    const auto name = entry.name.lock();
    if (!name || entry.is_running || entry.is_queued) continue;
    if (entry.has_failed && now >= entry.expires && may_be_stale(entry, now)) publish_stale(entry);
    if (!entry.is_published_stale && !is_used_lately(*name, entry.ttl)) continue;
    entry.is_queued = true;
    ahead_.push_back(entry.text);
  }
  start_ahead();
  if (!due_.empty())
    due_timer_.start(std::chrono::ceil<milliseconds>(due_.begin()->first - clock_.steady()));
}

void Resolver::Engine::start_ahead() {
  if (std::exchange(is_starting_ahead_, true)) return;  // a look-up that ended at once
  const std::size_t most = system_ ? kMostAheadOfSystem : kMostAhead;
  while (!ahead_.empty() && running_ahead_ < most) {
    const auto found = entries_.find(ahead_.front());
    ahead_.pop_front();
    if (found == entries_.end()) continue;
    Entry& entry = *found->second;
    entry.is_queued = false;
    if (entry.is_running || entry.name.expired()) continue;
    start(entry, true);
  }
  is_starting_ahead_ = false;
}

}  // namespace sc::net
