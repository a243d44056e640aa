#include "net/resolver/resolver.h"

#include <netinet/in.h>

#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/blocked_signals.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/text.h"
#include "net/resolver/engine.h"

namespace sc::net {
namespace {

// Whether the host has a route to the address; nothing is sent.
bool has_route(const Address& address) {
  const base::Fd socket(::socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Address probe = address;
  probe.set_port(9);  // any; "discard"
  return socket && ::connect(socket.get(), probe.raw(), probe.size()) == 0;
}

}  // namespace

Resolver::Resolver(ResolverOptions options, const base::Clock& clock, OnTrouble on_trouble)
    : options_(std::move(options)),
      clock_(clock),
      on_trouble_(std::move(on_trouble)),
      engine_(std::make_unique<Engine>(*this)) {
  const base::BlockedSignals blocked;
  try {
    thread_ = std::thread([this] {
      engine_->run();
      ended_.set_value();
    });
  } catch (const std::system_error& failure) {
    throw std::runtime_error(
        base::describe_errno("the host gives no thread for the resolver", failure.code().value()));
  }
}

Resolver::~Resolver() { stop(); }

bool Resolver::stop(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return true;
  engine_->send(Engine::Stop{});
  if (ended_.get_future().wait_for(patience) != std::future_status::ready) return false;
  thread_.join();
  return true;
}

void Resolver::probe() {
  pulse_.ask();
  engine_->send(Engine::Probe{&pulse_});
}

std::shared_ptr<Name> Resolver::name(std::string_view text) {
  if (base::is_ip_literal(text)) return nullptr;
  std::string lower = base::to_lower(text);
  const std::lock_guard lock(mutex_);
  auto& known = names_[lower];
  auto name = known.lock();
  if (!name) known = name = std::make_shared<Name>(std::move(lower));
  return name;
}

void Resolver::look_ahead(std::shared_ptr<Name> name) {
  engine_->send(Engine::Ask{std::move(name), nullptr});
}

void Resolver::ask(std::shared_ptr<Name> name, ResolverClient& client) {
  engine_->send(Engine::Ask{std::move(name), &client});
}

void Resolver::publish(Name& name, NameAnswer answer) {
  name.publish(std::make_shared<const NameAnswer>(std::move(answer)));
}

void Resolver::note_failure(Name& name, Name::Failure failure) {
  name.note_failure(std::move(failure));
}

bool Resolver::is_busy() { return SystemLookup::running() > 0; }

std::vector<Address> in_order_of_trying(const std::vector<Address>& v4,
                                        const std::vector<Address>& v6) {
  const bool is_v6_first = !v6.empty() && (v4.empty() || has_route(v6.front()));
  std::vector<Address> out = is_v6_first ? v6 : v4;
  const std::vector<Address>& rest = is_v6_first ? v4 : v6;
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

}  // namespace sc::net
