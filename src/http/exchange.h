#pragma once

#include <string>

#include "base/callback.h"
#include "http/answer_counts.h"
#include "http/message.h"

namespace sc::http {

class Connection;

// What is told to whoever writes a body that goes on; never from inside one of its writes.
struct BodyEvents {
  base::Callback<void()> on_sent;    // the kernel has taken all that was written
  base::Callback<void()> on_closed;  // nobody takes it any more; once, and not after an end()
};

// What a connection shares with the Responder or BodyWriter of its present request; the connection
// clears it when it dies.
struct Exchange {
  Connection* connection = nullptr;
  BodyEvents events;
  RouteName route;                                  // what the answer is counted as
  base::Callback<void(const Response&)> on_answer;  // once, when it is answered
  base::Callback<void(std::string body)> on_body;   // while the body is read for it
};

}  // namespace sc::http
