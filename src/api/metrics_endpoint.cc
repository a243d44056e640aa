#include "api/metrics_endpoint.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "api/negotiation.h"
#include "api/query.h"

namespace sc::api {
namespace {

// Of equals the first: curl and browsers, which take anything, get what they can show.
constexpr std::array<OfferedType, 2> kForms{
    {{"text/plain", "0.0.4"}, {"application/openmetrics-text", "1.0.0"}}};

}  // namespace

void MetricsEndpoint::add_to(Routes& routes) {
  routes.handle("GET", "/metrics",
                [this](const http::Request& request, const http::Params& params,
                       const core::Caller& caller, http::Responder responder) {
                  Reply reply({request, params, caller}, std::move(responder));
                  const auto form = choose_type(request, kForms);
                  if (!form) return reply.refuse(form.error());
                  if (const auto query = Query::read(request, {}); !query)
                    return reply.refuse(query.error());
                  ask(*form == 0 ? MetricsForm::prometheus : MetricsForm::open_metrics,
                      std::move(reply));
                });
}

void MetricsEndpoint::ask(MetricsForm form, Reply reply) {
  waiting_.push_back({form, std::move(reply)});
  if (!scrape_) start_next();
}

// All who wait for the same form get the same text.
void MetricsEndpoint::start_next() {
  if (waiting_.empty()) return;
  const MetricsForm form = waiting_.front().form;
  scrape_.emplace(Scrape{form, {}, MetricsPage(form)});
  std::vector<Waiting> others;
  for (Waiting& each : std::exchange(waiting_, {})) {
    if (each.form == form) {
      scrape_->replies.push_back(std::move(each.reply));
    } else {
      others.push_back(std::move(each));
    }
  }
  waiting_ = std::move(others);
  on_.begin();
  step();
}

void MetricsEndpoint::step() {
  const bool is_measured = on_.measure();
  const bool has_all = !scrape_->next_port || add_slice();
  if (has_all && (is_measured || --scrape_->patience < 0)) return finish();
  on_.next_turn([this] { step(); });
}

// True: that was the last one.
bool MetricsEndpoint::add_slice() {
  const auto views = on_.conductor.views_from(*scrape_->next_port, kSlice);
  for (const core::StreamView& view : views)
    scrape_->page.add(view, on_.restored(view.stream.spec.port));
  const bool is_last = views.size() < kSlice ||
                       views.back().stream.spec.port == std::numeric_limits<std::uint16_t>::max();
  scrape_->next_port.reset();
  if (!is_last) scrape_->next_port = static_cast<std::uint16_t>(views.back().stream.spec.port + 1);
  return is_last;
}

// An answer may bring its client's next request from inside: then the next scrape runs already.
void MetricsEndpoint::finish() {
  http::Response response;
  response.content_type = content_type_of(scrape_->form);
  response.body = scrape_->page.finish(on_.read());
  std::vector<Reply> replies = std::move(scrape_->replies);
  scrape_.reset();
  for (Reply& reply : replies) reply.send(response);
  if (!scrape_) start_next();
}

}  // namespace sc::api
