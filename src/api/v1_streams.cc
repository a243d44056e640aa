#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "api/json_input.h"
#include "api/json_output.h"
#include "api/negotiation.h"
#include "api/v1_call.h"
#include "base/text.h"
#include "core/same_host.h"

namespace sc::api {
namespace {

constexpr std::string_view kCollection = "/v1/streams";
constexpr std::uint64_t kMaxPage = 1000;

std::string path_of(std::uint16_t port) {
  return std::string(kCollection) + "/" + std::to_string(port);
}

// Which streams a list has.
struct Filter {
  std::optional<core::StreamState> state;
  std::optional<std::string> label;
  std::optional<core::Backend> backend;
  std::uint64_t limit = kMaxPage;
  std::uint16_t after = 0;  // the page before ended with this port

  bool fits(const core::Stream& stream) const {
    return stream.spec.port > after && (!state || stream.state == *state) &&
           (!label || stream.spec.label == *label) &&
           (!backend || core::is_same_backend(stream.spec.backend, *backend));
  }
};

template <class Entry>
struct Page {
  std::vector<Entry> entries;
  std::string cursor;  // of the next one
};

// `all` is by port.
Page<core::Stream> page_of(const std::vector<core::Stream>& all, const Filter& filter) {
  Page<core::Stream> page;
  for (const core::Stream& stream : all) {
    if (!filter.fits(stream)) continue;
    if (page.entries.size() == filter.limit) {
      page.cursor = std::to_string(page.entries.back().spec.port);
      break;
    }
    page.entries.push_back(stream);
  }
  return page;
}

// The streams of this moment. Copies little more than the page, unless few streams fit.
Page<View> page_of_now(core::Conductor& conductor, const Filter& filter) {
  constexpr std::uint64_t kMostAtOnce = 256;
  const auto at_once = static_cast<std::size_t>(std::min(filter.limit + 1, kMostAtOnce));
  Page<View> page;
  std::uint32_t next = filter.after + std::uint32_t{1};
  while (next <= std::numeric_limits<std::uint16_t>::max()) {
    auto views = conductor.views_from(static_cast<std::uint16_t>(next), at_once);
    for (View& view : views) {
      next = view.stream.spec.port + std::uint32_t{1};
      if (!filter.fits(view.stream)) continue;
      if (page.entries.size() == filter.limit) {
        page.cursor = std::to_string(page.entries.back().stream.spec.port);
        return page;
      }
      page.entries.push_back(std::move(view));
    }
    if (views.size() < at_once) break;
  }
  return page;
}

Outcome<Filter> read_filter(const Query& query) {
  Filter filter;
  if (const auto state = query.text("state")) {
    filter.state = core::parse_stream_state(*state);
    if (!filter.state)
      return bad_parameter("state", *state, "is one of listening, failed, draining, disabled");
  }
  filter.label = query.text("label");
  if (const auto text = query.text("backend")) {
    auto backend = base::parse_host_port(*text);
    if (!backend) return bad_parameter("backend", *text, "is host:port");
    filter.backend = std::move(*backend);
  }
  const auto limit = query.number("limit", 1, kMaxPage);
  if (!limit) return limit.error();
  filter.limit = limit->value_or(kMaxPage);
  if (const auto cursor = query.text("cursor")) {
    const auto after = base::parse_port(*cursor);
    if (!after) return bad_parameter("cursor", *cursor, "is the next_cursor of the page before");
    filter.after = *after;
  }
  return filter;
}

void list_as_of(const V1Services& on, base::WallTime time, Filter filter, Query query,
                Conditions conditions, Reply reply) {
  on.conductor.as_of(time, [filter = std::move(filter), query = std::move(query),
                            conditions = std::move(conditions), reply = std::move(reply)](
                               const base::Result<std::vector<core::Stream>>& past) mutable {
    if (!past) return reply.refuse(past.error());
    const auto page = page_of(*past, filter);
    std::string body = past_stream_list_json(page.entries, page.cursor);
    const std::string tag = tag_of(body);
    reply.send_tagged(conditions, tag, std::move(body), next_page(kCollection, query, page.cursor));
  });
}

std::optional<Problem> list_streams(const V1Services& on, const Call& call, Reply& reply) {
  auto query = Query::read(call.request, {"state", "label", "backend", "limit", "cursor", "as_of"});
  if (!query) return query.error();
  auto filter = read_filter(*query);
  if (!filter) return filter.error();
  const auto time = query->time("as_of");
  if (!time) return time.error();
  auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  if (*time) {
    if (**time > on.clock.wall())
      return bad_parameter("as_of", *query->text("as_of"), "is a time that has been");
    list_as_of(on, **time, std::move(*filter), std::move(*query), std::move(*conditions),
               std::move(reply));
    return std::nullopt;
  }
  const auto page = page_of_now(on.conductor, *filter);
  reply.send_tagged(*conditions, tag_of(on.conductor.version()),
                    stream_list_json(page.entries, page.cursor),
                    next_page(kCollection, *query, page.cursor));
  return std::nullopt;
}

std::optional<Problem> get_stream(const V1Services& on, const Call& call, Reply& reply) {
  const auto port = port_of(call);
  if (!port) return port.error();
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  const auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  const auto view = on.conductor.view(*port);
  if (!view)
    return Problem{
        ProblemType::not_found, "port " + std::to_string(*port) + " has no stream", {}, {}};
  reply.send_tagged(*conditions, tag_of(view->stream),
                    stream_detail_json(*view, on.sessions.resolution(view->stream.spec.backend)));
  return std::nullopt;
}

void send_stream(core::Conductor& conductor, const core::Stream& stream, bool is_new,
                 Reply& reply) {
  const std::uint16_t port = stream.spec.port;
  View view{stream, {}};
  if (const auto now = conductor.view(port)) view.traffic = now->traffic;
  std::vector<http::Header> headers{{"ETag", tag_of(stream)}};
  if (is_new) headers.push_back({"Location", path_of(port)});
  reply.send_json(stream_json(view), is_new ? 201 : 200, std::move(headers));
}

core::Conductor::OnPut answer_put(core::Conductor& conductor, Reply reply, TagCheck check) {
  return [&conductor, reply = std::move(reply),
          check = std::move(check)](const base::Result<core::Conductor::Put>& done) mutable {
    if (!done) return reply.refuse(done.error(), check.seen());
    send_stream(conductor, done->stream, done->is_new, reply);
  };
}

// What every change of one stream begins with.
struct Change {
  std::uint16_t port = 0;
  TagCheck check;
};
Outcome<Change> read_change(const Call& call) {
  const auto port = port_of(call);
  if (!port) return port.error();
  if (auto may = core::check_may_change(call.caller, *port); !may) return to_problem(may.error());
  auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  return Change{*port, TagCheck(std::move(*conditions))};
}

CheckSpec check_by(const core::Conductor& conductor) {
  return [&conductor](const core::StreamSpec& spec) { return conductor.check(spec); };
}

std::optional<Problem> put_stream(const V1Services& on, const Call& call, Reply& reply) {
  auto change = read_change(call);
  if (!change) return change.error();
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  if (auto refused = check_json_body(call)) return refused;
  const auto spec =
      read_stream(call.request.body, change->port, on.clock.now(), check_by(on.conductor));
  if (!spec) return spec.error();
  on.conductor.put(*spec, call.actor(), change->check,
                   answer_put(on.conductor, std::move(reply), change->check));
  return std::nullopt;
}

std::optional<Problem> post_stream(const V1Services& on, const Call& call, Reply& reply) {
  if (auto may = check_may_operate(call.caller); !may) return to_problem(may.error());
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  if (auto refused = check_json_body(call)) return refused;
  const auto spec =
      read_stream(call.request.body, std::nullopt, on.clock.now(), check_by(on.conductor));
  if (!spec) return spec.error();
  const auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  const std::string tag = tag_of(on.conductor.version());
  if (auto fits = conditions->check(tag); !fits) {
    reply.refuse(fits.error(), tag);
    return std::nullopt;
  }
  const core::PortCheck may_change = may_change_of(call.caller);
  if (spec->port == 0) {
    on.conductor.put_anywhere(*spec, call.actor(), may_change,
                              answer_put(on.conductor, std::move(reply), TagCheck({})));
    return std::nullopt;
  }
  if (auto may = may_change(spec->port); !may) return to_problem(may.error());
  const auto is_free = [](const core::Stream* present) -> base::Result<void> {
    if (present == nullptr) return {};
    return base::Error{base::Errc::conflict,
                       "port " + std::to_string(present->spec.port) + " has a stream to " +
                           base::to_string(present->spec.backend) + " already; PUT changes it",
                       {}};
  };
  on.conductor.put(*spec, call.actor(), is_free,
                   answer_put(on.conductor, std::move(reply), TagCheck({})));
  return std::nullopt;
}

std::optional<Problem> patch_stream(const V1Services& on, const Call& call, Reply& reply) {
  static constexpr std::array<std::string_view, 2> kTypes{"application/merge-patch+json",
                                                          "application/json"};
  auto change = read_change(call);
  if (!change) return change.error();
  if (const auto query = Query::read(call.request, {}); !query) return query.error();
  if (auto refused = check_content_type(call.request, kTypes)) {
    // RFC 5789 section 2.2.
    reply.refuse(std::move(*refused),
                 {{"Accept-Patch", "application/merge-patch+json, application/json"}});
    return std::nullopt;
  }
  const auto patch = read_patch(
      call.request.body, change->port, on.clock.now(),
      [&](const core::StreamPatch& read) { return on.conductor.check(change->port, read); });
  if (!patch) return patch.error();
  on.conductor.patch(change->port, *patch, call.actor(), change->check,
                     [&conductor = on.conductor, reply = std::move(reply),
                      check = change->check](const base::Result<core::Stream>& done) mutable {
                       if (!done) return reply.refuse(done.error(), check.seen());
                       send_stream(conductor, *done, false, reply);
                     });
  return std::nullopt;
}

std::optional<Problem> delete_stream(const V1Services& on, const Call& call, Reply& reply) {
  auto change = read_change(call);
  if (!change) return change.error();
  const auto query = Query::read(call.request, {"drain"});
  if (!query) return query.error();
  std::optional<std::chrono::milliseconds> drain;
  if (const auto text = query->text("drain")) {
    drain = base::parse_duration(*text);
    if (!drain) return bad_parameter("drain", *text, "is 0 or a duration such as 30s");
  }
  on.conductor.remove(
      change->port, call.actor(), drain, change->check,
      [reply = std::move(reply), check = change->check](const base::Result<void>& done) mutable {
        if (!done) return reply.refuse(done.error(), check.seen());
        http::Response response;
        response.status = 204;
        reply.send(std::move(response));
      });
  return std::nullopt;
}

}  // namespace

std::vector<Endpoint> stream_endpoints(const V1Services& on) {
  using Step = std::optional<Problem> (*)(const V1Services&, const Call&, Reply&);
  const auto route = [&on](const char* method, const char* pattern, Step step) {
    return endpoint(method, pattern,
                    [on, step](const Call& call, Reply& reply) { return step(on, call, reply); });
  };
  return {
      route("GET", "/v1/streams", list_streams),
      route("POST", "/v1/streams", post_stream),
      route("GET", "/v1/streams/{port}", get_stream),
      route("PUT", "/v1/streams/{port}", put_stream),
      route("PATCH", "/v1/streams/{port}", patch_stream),
      route("DELETE", "/v1/streams/{port}", delete_stream),
  };
}

}  // namespace sc::api
