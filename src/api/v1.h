#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/event_hub.h"
#include "api/routes.h"
#include "api/service_facts.h"
#include "base/clock.h"
#include "core/conductor.h"
#include "core/session_book.h"

namespace sc::api {

struct V1Services {
  core::Conductor& conductor;
  const base::Clock& clock;
  FactsSource facts;
  Drainer drain;
  core::SessionBook& sessions;
  EventHub& events;
};

struct Endpoint {
  std::string method;
  std::string pattern;  // as http::Router takes it
  Routes::Handler handler;
};

// What docs/openapi.json describes. What `on` refers to outlives them. Control thread.
std::vector<Endpoint> v1_endpoints(const V1Services& on);
void add_v1_routes(Routes& routes, const V1Services& on);

// docs/openapi.json as it was when this was built.
std::string_view openapi_document();

}  // namespace sc::api
