#include "loop/lookup.h"

#include <netdb.h>

#include <atomic>
#include <cstring>
#include <memory>

#include "loop/handle.h"

namespace sc::loop {
namespace {

std::atomic<int> lookups_in_flight{0};

Lookup::Addresses to_addresses(const addrinfo* list) {
  Lookup::Addresses out;
  for (; list != nullptr; list = list->ai_next) {
    if (list->ai_addrlen > sizeof(sockaddr_storage)) continue;
    std::memcpy(&out.emplace_back(), list->ai_addr, list->ai_addrlen);
  }
  return out;
}

}  // namespace

Lookup::Lookup(Loop& loop, const std::string& name, OnDone on_done) : on_done_(std::move(on_done)) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  auto request = std::make_unique<uv_getaddrinfo_t>();
  request->data = this;
  check(
      uv_getaddrinfo(loop.raw(), request.get(), &Lookup::on_answer, name.c_str(), nullptr, &hints),
      "uv_getaddrinfo");
  request_ = request.release();
  lookups_in_flight.fetch_add(1);
}

Lookup::~Lookup() {
  if (request_ == nullptr) return;
  request_->data = nullptr;  // the answer will find nobody
  uv_cancel(reinterpret_cast<uv_req_t*>(request_));
}

int Lookup::in_flight() { return lookups_in_flight.load(); }

void Lookup::on_answer(uv_getaddrinfo_t* request, int status, addrinfo* found) noexcept {
  const std::unique_ptr<uv_getaddrinfo_t> freed(request);
  const std::unique_ptr<addrinfo, decltype(&uv_freeaddrinfo)> list(found, &uv_freeaddrinfo);
  lookups_in_flight.fetch_sub(1);
  auto* self = static_cast<Lookup*>(request->data);
  if (self == nullptr) return;
  self->request_ = nullptr;
  auto done = std::move(self->on_done_);  // done may destroy self: touch nothing after
  if (status < 0) {
    done(base::Error{base::Errc::unavailable, uv_strerror(status)});
  } else {
    done(to_addresses(list.get()));
  }
}

}  // namespace sc::loop
