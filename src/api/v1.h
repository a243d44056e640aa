#pragma once

#include "api/route.h"
#include "api/service_facts.h"
#include "base/clock.h"
#include "core/conductor.h"

namespace sc::api {

struct V1Services {
  core::Conductor& conductor;
  const base::Clock& clock;
  FactsSource facts;
};

// The endpoints of openapi.json. What `on` refers to outlives them. Control thread.
Routes v1_routes(const V1Services& on);

}  // namespace sc::api
