#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/etag.h"
#include "api/problem.h"
#include "api/query.h"
#include "api/v1.h"
#include "core/actor.h"
#include "core/apply.h"
#include "core/caller.h"

// What the endpoints of v1 share.
namespace sc::api {

// A request while its handler runs; what comes later has to be copied.
struct Call {
  const http::Request& request;
  const http::Params& params;
  const core::Caller& caller;

  core::Actor actor() const { return {caller.name, request.id}; }
};

// The answer that is owed, and what goes into it whatever it is.
class Reply {
 public:
  Reply(const Call& call, http::Responder responder)
      : request_id_(call.request.id), responder_(std::move(responder)) {}

  void send(http::Response response) { responder_.respond(std::move(response)); }
  void send_json(std::string body, int status = 200, std::vector<http::Header> headers = {});
  // 200 with the body and its tag, or 304.
  void send_tagged(const Conditions& conditions, const std::string& tag, std::string body,
                   std::vector<http::Header> headers = {});
  void refuse(Problem problem, std::vector<http::Header> headers = {});
  // For an answer that is not sent as one piece; nothing is owed any more.
  http::Responder take_responder() { return std::move(responder_); }
  // `tag`: of what is there, for who finds that it has changed.
  void refuse(const base::Error& error, const std::optional<std::string>& tag = {});

  const std::string& request_id() const { return request_id_; }

 private:
  std::string request_id_;
  http::Responder responder_;
};

// Answers, or takes the reply to answer later, or says at once why not.
using V1Handler = std::function<std::optional<Problem>(const Call& call, Reply& reply)>;
// Refuses what every endpoint refuses, then asks the handler.
Endpoint endpoint(std::string method, std::string pattern, V1Handler handler);
// Where Accept is the handler's to judge.
Endpoint endpoint_of_any_type(std::string method, std::string pattern, V1Handler handler);

// not_found: the path's `{port}` is no port.
Outcome<std::uint16_t> port_of(const Call& call);
std::optional<Problem> check_json_body(const Call& call);
// Of one who may change some port at least.
base::Result<void> check_may_operate(const core::Caller& caller);
core::PortCheck may_change_of(const core::Caller& caller);

// The conditions of a change, asked when it has its turn. It remembers the tag that it saw.
class TagCheck {
 public:
  explicit TagCheck(Conditions conditions)
      : conditions_(std::move(conditions)), seen_(std::make_shared<std::optional<std::string>>()) {}

  base::Result<void> operator()(const core::Stream* present) const;
  base::Result<void> operator()(std::string_view version) const;
  const std::optional<std::string>& seen() const { return *seen_; }

 private:
  Conditions conditions_;
  std::shared_ptr<std::optional<std::string>> seen_;  // of all copies
};

// `</v1/history?port=9000&cursor=17>; rel="next"` (RFC 8288); none without a cursor.
std::vector<http::Header> next_page(std::string_view path, const Query& query,
                                    const std::string& cursor);

std::vector<Endpoint> stream_endpoints(const V1Services& on);
std::vector<Endpoint> bulk_endpoints(const V1Services& on);
std::vector<Endpoint> session_endpoints(const V1Services& on);
std::vector<Endpoint> event_endpoints(const V1Services& on);
std::vector<Endpoint> service_endpoints(const V1Services& on);

}  // namespace sc::api
