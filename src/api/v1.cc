#include "api/v1.h"

#include <array>
#include <iterator>
#include <utility>

#include "api/negotiation.h"
#include "api/v1_call.h"
#include "base/text.h"

namespace sc::api {

std::vector<Endpoint> v1_endpoints(const V1Services& on) {
  std::vector<Endpoint> all = stream_endpoints(on);
  for (std::vector<Endpoint>& part : std::array{bulk_endpoints(on), session_endpoints(on),
                                                event_endpoints(on), service_endpoints(on)})
    std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}

void add_v1_routes(Routes& routes, const V1Services& on) {
  for (Endpoint& each : v1_endpoints(on))
    routes.handle(std::move(each.method), each.pattern, std::move(each.handler));
}

void Reply::send_json(std::string body, int status, std::vector<http::Header> headers) {
  http::Response response = json_answer(std::move(body));
  response.status = status;
  response.headers = std::move(headers);
  send(std::move(response));
}

void Reply::send_tagged(const Conditions& conditions, const std::string& tag, std::string body,
                        std::vector<http::Header> headers) {
  headers.push_back({"ETag", tag});
  if (auto fits = conditions.check_match(tag); !fits) return refuse(fits.error(), tag);
  if (!conditions.is_known(tag)) return send_json(std::move(body), 200, std::move(headers));
  http::Response response;
  response.status = 304;
  response.headers = std::move(headers);
  send(std::move(response));
}

void Reply::refuse(Problem problem, std::vector<http::Header> headers) {
  problem.request_id = request_id_;
  http::Response response = answer(problem);
  std::move(headers.begin(), headers.end(), std::back_inserter(response.headers));
  send(std::move(response));
}

void Reply::refuse(const base::Error& error, const std::optional<std::string>& tag) {
  std::vector<http::Header> headers;
  if (error.code == base::Errc::precondition && tag) headers.push_back({"ETag", *tag});
  refuse(to_problem(error), std::move(headers));
}

Endpoint endpoint(std::string method, std::string pattern, V1Handler handler) {
  return endpoint_of_any_type(std::move(method), std::move(pattern),
                              [handler = std::move(handler)](const Call& call, Reply& reply) {
                                auto refused = check_accept(call.request);
                                return refused ? std::move(refused) : handler(call, reply);
                              });
}

Endpoint endpoint_of_any_type(std::string method, std::string pattern, V1Handler handler) {
  Endpoint made{std::move(method), std::move(pattern), {}};
  made.handler = [handler = std::move(handler)](
                     const http::Request& request, const http::Params& params,
                     const core::Caller& caller, http::Responder responder) {
    const Call call{request, params, caller};
    Reply reply(call, std::move(responder));
    if (auto refused = handler(call, reply)) reply.refuse(std::move(*refused));
  };
  return made;
}

Outcome<std::uint16_t> port_of(const Call& call) {
  const std::string& text = call.params["port"];
  const auto port = base::parse_port(text);
  if (port) return *port;
  return Problem{ProblemType::not_found,
                 base::quoted(text) + " is not a port: a number from 1 to 65535",
                 {},
                 {}};
}

std::optional<Problem> check_json_body(const Call& call) {
  static constexpr std::array<std::string_view, 1> kJson{"application/json"};
  return check_content_type(call.request, kJson);
}

base::Result<void> check_may_operate(const core::Caller& caller) {
  // Somebody with some ports only is judged by each port that it turns out to be.
  if (caller.ports && !caller.ports->ranges().empty())
    return core::check_may_change(caller, caller.ports->ranges().front().first);
  return core::check_may_change(caller, 1);
}

core::PortCheck may_change_of(const core::Caller& caller) {
  return [caller](std::uint16_t port) { return core::check_may_change(caller, port); };
}

base::Result<void> TagCheck::operator()(const core::Stream* present) const {
  seen_->reset();
  if (present != nullptr) *seen_ = tag_of(*present);
  return conditions_.check(*seen_);
}

base::Result<void> TagCheck::operator()(std::string_view version) const {
  *seen_ = tag_of(version);
  return conditions_.check(*seen_);
}

std::vector<http::Header> next_page(std::string_view path, const Query& query,
                                    const std::string& cursor) {
  if (cursor.empty()) return {};
  return {{"Link", "<" + query.next_page(path, cursor) + ">; rel=\"next\""}};
}

}  // namespace sc::api
