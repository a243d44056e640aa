#include <utility>
#include <vector>

#include "api/json_input.h"
#include "api/json_output.h"
#include "api/v1_call.h"

namespace sc::api {
namespace {

Outcome<core::ApplyMode> read_mode(const Query& query) {
  const auto mode = query.text("mode");
  if (!mode || *mode == "merge") return core::ApplyMode::merge;
  if (*mode == "replace") return core::ApplyMode::replace;
  return bad_parameter("mode", *mode, "is merge or replace");
}

// What apply and restore have in common: all but the streams and the mode.
Outcome<core::ApplyRequest> read_request(const V1Services& on, const Call& call, const Query& query,
                                         TagCheck check) {
  core::ApplyRequest request;
  const auto dry_run = query.boolean("dry_run");
  if (!dry_run) return dry_run.error();
  request.dry_run = *dry_run;
  request.check = [&conductor = on.conductor, check = std::move(check)] {
    return check(conductor.version());
  };
  request.may_change = may_change_of(call.caller);
  return request;
}

core::Conductor::OnApplied answer_applied(Reply reply, TagCheck check, bool dry_run,
                                          bool is_restore) {
  return [reply = std::move(reply), check = std::move(check), dry_run,
          is_restore](const base::Result<core::ApplyReport>& done) mutable {
    if (done) return reply.send_json(apply_report_json(*done, dry_run, is_restore));
    base::Error error = done.error();
    // The conductor points into the list of streams, which the asker of a restore never saw.
    if (is_restore) {
      error.field.clear();
      error.more.clear();
    } else if (!error.field.empty()) {
      error.field.insert(0, "/streams");
    }
    for (base::WrongPart& part : error.more) part.field.insert(0, "/streams");
    reply.refuse(error, check.seen());
  };
}

std::optional<Problem> apply_streams(const V1Services& on, const Call& call, Reply& reply) {
  if (auto may = check_may_operate(call.caller); !may) return to_problem(may.error());
  const auto query = Query::read(call.request, {"mode", "dry_run"});
  if (!query) return query.error();
  const auto mode = read_mode(*query);
  if (!mode) return mode.error();
  if (*mode == core::ApplyMode::replace) {
    if (auto may = core::check_may_administer(call.caller); !may) return to_problem(may.error());
  }
  if (auto refused = check_json_body(call)) return refused;
  auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  const TagCheck check(std::move(*conditions));
  auto request = read_request(on, call, *query, check);
  if (!request) return request.error();
  auto streams =
      read_stream_list(call.request.body, on.clock.now(),
                       [&](const core::StreamSpec& spec) { return on.conductor.check(spec); });
  if (!streams) return streams.error();
  request->streams = std::move(*streams);
  request->mode = *mode;
  const bool dry_run = request->dry_run;
  on.conductor.apply(std::move(*request), call.actor(),
                     answer_applied(std::move(reply), check, dry_run, false));
  return std::nullopt;
}

std::optional<Problem> restore_streams(const V1Services& on, const Call& call, Reply& reply) {
  if (auto may = core::check_may_administer(call.caller); !may) return to_problem(may.error());
  const auto query = Query::read(call.request, {"as_of", "dry_run"});
  if (!query) return query.error();
  const auto time = query->time("as_of");
  if (!time) return time.error();
  if (!*time)
    return Problem{ProblemType::malformed_request,
                   "the parameter as_of is missing: the time whose streams shall be back, such as "
                   "2026-11-01T14:03:00Z",
                   {},
                   {}};
  if (**time > on.clock.wall())
    return bad_parameter("as_of", *query->text("as_of"), "is a time that has been");
  auto conditions = Conditions::read(call.request);
  if (!conditions) return conditions.error();
  const TagCheck check(std::move(*conditions));
  auto request = read_request(on, call, *query, check);
  if (!request) return request.error();
  const bool dry_run = request->dry_run;
  on.conductor.restore(**time, std::move(*request), call.actor(),
                       answer_applied(std::move(reply), check, dry_run, true));
  return std::nullopt;
}

}  // namespace

std::vector<Endpoint> bulk_endpoints(const V1Services& on) {
  return {
      endpoint("POST", "/v1/streams:apply",
               [on](const Call& call, Reply& reply) { return apply_streams(on, call, reply); }),
      endpoint("POST", "/v1/streams:restore",
               [on](const Call& call, Reply& reply) { return restore_streams(on, call, reply); }),
  };
}

}  // namespace sc::api
